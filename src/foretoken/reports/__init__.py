"""Fit + Forecast -> one self-contained HTML page."""

from foretoken.reports.inputs import StudyResults
from foretoken.reports.page import render, write

__all__ = ["StudyResults", "render", "write"]
