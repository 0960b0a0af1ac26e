"""Hostile input of every kind, for the tests and for benchmarks/fuzz.py."""
