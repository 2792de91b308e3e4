"""Scorers: the classifiers and feature extractors that metrics look through."""
