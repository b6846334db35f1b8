"""Real traces in: one file per format."""
