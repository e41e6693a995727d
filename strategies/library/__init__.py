"""Worked strategies, to run and to learn from; none is advice."""
