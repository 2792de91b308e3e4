"""Data sets, held in memory: each a function that returns its splits and spec; `load.load(name)` finds it by name."""
