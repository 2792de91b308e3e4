"""Data sets, held in memory: each a function that returns its splits and spec."""
