"""What runs come to, to compare with: `tools/same.py` asks whether a change left it as it was.

`lines` says what counts of a run, `watching` catches the runs, `corpus` makes those outside the
tests, `plugin` is told by pytest whose they are. ``baseline.txt`` is what they came to.
"""
