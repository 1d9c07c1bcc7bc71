"""In which order is it mended, done and taken back? May import: checks and below."""
