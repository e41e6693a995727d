"""The oracle: the laws of a run, checked after every message by arithmetic of its own."""
