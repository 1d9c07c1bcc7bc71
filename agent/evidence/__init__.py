"""What somebody captured (tokens, events, tickets, logs, answers of setspn), what it says, and what the cause is."""
