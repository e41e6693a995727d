"""The story of an order: what happened, what did not, and why."""
