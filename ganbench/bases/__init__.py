"""What several baselines of one family share, beside the networks and losses that any may use."""
