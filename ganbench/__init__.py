"""ganbench: train, score and rank classical deep generative models, with one command."""

from typing import Any

__version__ = "0.1.0"
__all__ = ["__version__", "compare", "evaluate", "load", "results", "run"]
_HOMES = {
    "compare": "scoring.evaluation",
    "evaluate": "scoring.evaluation",
    "load": "api",
    "results": "api",
    "run": "api",
}


def __getattr__(name: str) -> Any:
    """What Python users call, imported when first asked for: it needs torch or pandas, the package needs neither."""
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(f"ganbench.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'ganbench' has no attribute {name!r}")
