"""iis-spn: which SPN does each IIS site need, on which account must it live, is that so, and what to change."""
