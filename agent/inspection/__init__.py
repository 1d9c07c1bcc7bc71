"""How do the stages make one report of a run? Targets in, Report out. May import: change and below."""
