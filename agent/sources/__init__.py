"""Where do facts come from? One folder for each wire, imported when used. May import: story and below."""
