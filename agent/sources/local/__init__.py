"""This Windows server: what it says of itself, its configuration, and when that changes."""
