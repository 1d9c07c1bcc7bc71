"""How is a server asked over WinRM? A script in, its output back. May import: sources.endpoint, errors."""
