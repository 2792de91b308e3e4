"""Losses: adversarial objectives on logits, gradient penalties, likelihoods; pure functions of tensors."""
