"""Which servers are to be asked? Names, ranges, text and Ansible files -> endpoints. May import: sources.endpoint."""
