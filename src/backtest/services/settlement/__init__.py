"""What a fill comes to: exchanged, charged, reserved, earned; for both venues."""
