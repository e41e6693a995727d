"""Agents that make a market: strategies that trade with each other, and on historical data."""
