"""What does a web server answer to a ticket? One real request. May import: story and below."""
