"""Bugs to be planted in the engine, one at a time: a harness that finds nothing proves nothing."""
