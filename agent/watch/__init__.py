"""The agent on a server: when to look again, what changed since, where it is told and delivered."""
