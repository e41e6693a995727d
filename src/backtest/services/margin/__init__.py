"""Margin, profit and liquidation of linear contracts, isolated and cross."""
