"""Scoring: what metrics are given, from whatever was brought: a trained model, samples, or anybody's arrays."""
