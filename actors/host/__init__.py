"""Where a strategy lives: what it sees, how it waits, and its way to the venue."""
