"""ganbench: train, score and rank classical deep generative models, with one command."""

__version__ = "0.1.0"
