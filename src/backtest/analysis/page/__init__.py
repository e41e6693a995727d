"""The page of a run: one HTML file that stands alone and tells all of it."""
