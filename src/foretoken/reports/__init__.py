"""Any result -> one self-contained HTML page with its figures."""

from foretoken.reports.pages import page_of, save_page
from foretoken.reports.study_page import render, write
from foretoken.reports.study_results import StudyResults
from foretoken.reports.waterfall_page import Waterfalls

__all__ = ["StudyResults", "Waterfalls", "page_of", "render", "save_page", "write"]
