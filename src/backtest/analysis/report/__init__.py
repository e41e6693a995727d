"""The figures of a run, and the page of text that people read."""
