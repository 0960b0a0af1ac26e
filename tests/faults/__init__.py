"""Faults of every kind, for the tests and for benchmarks/faults.py."""
