"""Bases that several baselines of one family share: pixel models, categorical codes, encoder and decoder."""
