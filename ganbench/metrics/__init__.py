"""Metrics: pure functions of samples that return a value, its uncertainty and a signature."""
