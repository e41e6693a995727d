"""A run as tables of text, and the files they are written to."""
