"""What is made of this repository for servers that have no Internet; nothing here is installed with the program."""
