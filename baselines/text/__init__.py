"""Vectors of words and of documents."""
