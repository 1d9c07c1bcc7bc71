"""What does a server say of itself? Folders, files and framed text -> one Snapshot. May import: iis and below."""
