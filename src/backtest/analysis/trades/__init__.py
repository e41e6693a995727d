"""Round trips: what was opened and closed again, and what is open still, with all that it cost."""
