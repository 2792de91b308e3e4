"""The reference baselines: one model per file, each to be read beside its paper."""
