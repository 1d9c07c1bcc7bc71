"""What is wrong, and what would mend it? One file of questions for each subject. May import: spn and below."""
