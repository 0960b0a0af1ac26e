"""Any result -> one self-contained HTML page with its figures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from foretoken.checks.diagnose import Diagnosis
from foretoken.errors import ForetokenError, StoreError
from foretoken.fits.result import Fit
from foretoken.forecasts.backtest import BackTest
from foretoken.forecasts.forecast import Forecast
from foretoken.forecasts.ledger import Ledger
from foretoken.laws.published import Registry
from foretoken.plans.plan import Plan
from foretoken.reports.approaches_page import approaches_page
from foretoken.reports.backtest_page import backtest_page
from foretoken.reports.diagnosis_page import diagnosis_page
from foretoken.reports.fit_page import fit_page
from foretoken.reports.html import document
from foretoken.reports.ledger_page import ledger_page
from foretoken.reports.plan_page import plan_page
from foretoken.reports.prediction_page import prediction_page
from foretoken.reports.published_page import published_page
from foretoken.reports.study_page import render, write
from foretoken.reports.study_results import StudyResults
from foretoken.reports.summary import Page
from foretoken.reports.waterfall_page import Waterfalls, waterfall_page
from foretoken.routes.approaches import Approaches
from foretoken.store.atomic import write_file

__all__ = ["StudyResults", "Waterfalls", "page_of", "render", "save_page", "write"]

PAGES: dict[type, Callable[..., Page]] = {
    Fit: fit_page,
    BackTest: backtest_page,
    Diagnosis: diagnosis_page,
    Approaches: approaches_page,
    Forecast: prediction_page,
    Plan: plan_page,
    Registry: published_page,
    Waterfalls: waterfall_page,
    Ledger: ledger_page,
}
"""What has a page, and what makes it."""


def page_of(result: Any, *, rebuild: str = "", **given: Any) -> str:
    """The page of a result as text; equal results give equal text.

    `given` is what a page can use besides, such as `source` (a name), `fit`, or `losses` (the Source of a plan);
    `rebuild` is the command that its foot repeats. Raises ForetokenError for a result that has no page.
    """
    make = next((make for kind, make in PAGES.items() if isinstance(result, kind)), None)
    if make is None:
        known = ", ".join(sorted(kind.__name__ for kind in PAGES))
        raise ForetokenError("no page for this result", expected=known, got=type(result).__name__)
    page = make(result, **given)
    return document(page.title, page.kicker, page.sentence, page.parts, rebuild=rebuild, styles=page.styles)


def save_page(result: Any, path: str | Path, **given: Any) -> Path:
    """Write the page of a result to a file and return its path; arguments as for `page_of`.

    Raises StoreError where no file can be written.
    """
    path = Path(path)
    text = page_of(result, **given)
    try:
        write_file(path, text.encode())
    except StoreError as error:
        cure = "name a file in a folder that you may write to"
        raise StoreError(f"cannot write the page {path}", got=error.got, cure=cure) from None
    return path
