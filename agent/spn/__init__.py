"""Which SPN does each application need, on whose account, and is that so? May import: iis, model and below."""
