"""Models that make events from labels, captions or other images."""
