"""The version, once."""

__version__ = "0.1.0"
RECIPE = 3
"""Raised when the training code gives other numbers than before; part of every run's key."""
