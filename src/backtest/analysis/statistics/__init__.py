"""Statistics of a run: pure functions of returns, curves and trades, each with its source."""
