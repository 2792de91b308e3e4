"""ganbench: train, score and rank classical deep generative models, with one command."""

from typing import Any

__version__ = "0.1.0"
__all__ = ["__version__", "compare", "evaluate"]


def __getattr__(name: str) -> Any:
    """`ganbench.evaluate` and `ganbench.compare`, imported when first asked for: they need torch, the package not."""
    if name in ("evaluate", "compare"):
        import importlib

        return getattr(importlib.import_module("ganbench.evaluation"), name)
    raise AttributeError(f"module 'ganbench' has no attribute {name!r}")
