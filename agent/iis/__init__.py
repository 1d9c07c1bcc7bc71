"""What does IIS use? Configuration files -> effective settings, with file and line. May import: model and below."""
