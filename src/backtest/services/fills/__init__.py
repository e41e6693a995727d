"""Fills against market data: the walks along bars and ticks, and the rules they go by."""
