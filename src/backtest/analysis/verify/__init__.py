"""The checks of a finished run: every figure worked out again from its tables."""
