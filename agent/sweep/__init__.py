"""Who is asked, all at once, and what becomes of each answer? May import: sources and render, and what they may."""
