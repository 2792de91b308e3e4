"""Regression gates: metric values, training curves, sample quality and speed, each with a verdict and a reason."""
