"""Any result -> one self-contained HTML page with its figures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from foretoken.abilities.downstream_result import Downstream
from foretoken.abilities.result import Scores
from foretoken.abilities.tail_result import Tail
from foretoken.arguments import named_arguments
from foretoken.checks.diagnose import Diagnosis
from foretoken.decisions.accuracy import Decisions
from foretoken.decisions.result import Versus
from foretoken.errors import ForetokenError, StoreError
from foretoken.fits.result import Fit
from foretoken.forecasts.backtest import BackTest
from foretoken.forecasts.forecast import Forecast
from foretoken.forecasts.ledger import Ledger
from foretoken.laws.published import Registry
from foretoken.plans.result import Plan
from foretoken.reports.approaches_page import approaches_page
from foretoken.reports.backtest_page import backtest_page
from foretoken.reports.decisions_page import decisions_page
from foretoken.reports.diagnosis_page import diagnosis_page
from foretoken.reports.downstream_page import downstream_page
from foretoken.reports.fit_page import fit_page
from foretoken.reports.html import document
from foretoken.reports.ledger_page import ledger_page
from foretoken.reports.plan_page import plan_page
from foretoken.reports.prediction_page import prediction_page
from foretoken.reports.published_page import published_page
from foretoken.reports.scores_page import scores_page
from foretoken.reports.study_page import study_page
from foretoken.reports.study_results import CorpusFacts, StudyResults, TrainingCost
from foretoken.reports.summary import Page, PageOptions
from foretoken.reports.tail_page import tail_page
from foretoken.reports.versus_page import versus_page
from foretoken.routes.approaches import Approaches
from foretoken.store.atomic import write_file, write_output

__all__ = [
    "PAGES",
    "CorpusFacts",
    "Page",
    "PageOptions",
    "StudyResults",
    "TrainingCost",
    "page_of",
    "save_page",
    "write_report",
]

PAGES: dict[type, Callable[[Any, PageOptions], Page]] = {
    Fit: fit_page,
    BackTest: backtest_page,
    Diagnosis: diagnosis_page,
    Approaches: approaches_page,
    Scores: scores_page,
    Downstream: downstream_page,
    Tail: tail_page,
    Forecast: prediction_page,
    Plan: plan_page,
    Registry: published_page,
    Ledger: ledger_page,
    StudyResults: study_page,
    Versus: versus_page,
    Decisions: decisions_page,
    Page: lambda page, _: page,
}
"""What has a page, and the function that makes it; a Page made elsewhere is taken as it is."""

PLAIN = PageOptions()
"""Nothing beside the result."""


@named_arguments
def page_of(result: object, options: PageOptions = PLAIN) -> str:
    """The page of a result as text; equal results give equal text.

    Args:
        result: anything that PAGES knows: a fit, a forecast, a plan, a study's results, ...
        options: what the page can use besides, such as a name for its title.

    Raises ForetokenError for a result that has no page.

    """
    page = find_page(result, options)
    if page is None:
        known = ", ".join(sorted(kind.__name__ for kind in PAGES))
        got = type(result).__name__
        raise ForetokenError("no page for this result", expected=known, got=got, cure="give the result, not its JSON")
    rebuild = options.rebuild or page.rebuild
    return document(page.title, page.kicker, page.sentence, page.parts, rebuild=rebuild, styles=page.styles)


def find_page(result: object, options: PageOptions = PLAIN) -> Page | None:
    """What the page of a result holds; None for a result without one."""
    make = next((PAGES[kind] for kind in type(result).__mro__ if kind in PAGES), None)
    return None if make is None else make(result, options)


@named_arguments
def save_page(result: object, path: str | Path, options: PageOptions = PLAIN) -> Path:
    """Write the page of a result to a file and return its path.

    Args:
        result: as for `page_of`.
        path: the file, which is written anew.
        options: as for `page_of`.

    Raises StoreError where no file can be written.

    """
    path = Path(path)
    text = page_of(result, options)
    try:
        write_output(path, text.encode())
    except StoreError as error:
        cure = "name a file in a folder that you may write to"
        raise StoreError(f"cannot write the page {path}", got=error.got, cure=cure) from None
    return path


def write_report(study: StudyResults, folder: str | Path) -> Path:
    """Write `report/index.html` in the study's folder and return its path; StoreError when a link leads out of it."""
    path = Path(folder) / "report" / "index.html"
    if path.parent.is_symlink():
        raise StoreError(f"{path.parent} is a link, and a report stays in its study's folder", cure="delete the link")
    write_file(path, page_of(study).encode())
    return path
