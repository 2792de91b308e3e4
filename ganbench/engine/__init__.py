"""The one training loop over players, its turns and its checkpoints."""
