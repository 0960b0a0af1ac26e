"""Tests of what trained networks write."""
