"""Boards and submissions: records and samples in; standings, pages and verdicts on claims out."""
