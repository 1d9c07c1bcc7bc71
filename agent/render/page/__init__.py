"""The page that people send on: one HTML file that loads nothing. It judges nothing, it shows what the report says."""
