"""A run from what people ask for to its result: configuration, sources, actors, manifest."""
