"""How is it said? One file for each format, Report -> text. Judges nothing. May import: story and below."""
