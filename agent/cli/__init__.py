"""What was asked for, and with which exit code does it end? May import: everything."""
