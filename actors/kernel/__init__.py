"""The kernel: actors, channels and the clock that moves them. It knows no order and no money."""
