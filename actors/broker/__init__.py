"""The venue on history: orders fill against bars, quotes and trades."""
