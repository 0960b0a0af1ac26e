"""The report: one HTML file that needs nothing else, readable without a script."""

from __future__ import annotations

from pathlib import Path

from foretoken.errors import StoreError
from foretoken.reports.curve_figure import curves_figure
from foretoken.reports.document import document
from foretoken.reports.elements import Html, section
from foretoken.reports.forecast_figure import forecast_section
from foretoken.reports.isoflop_figure import isoflop_section
from foretoken.reports.law_section import law_section
from foretoken.reports.position_figure import positions_figure
from foretoken.reports.provenance import commands, making_section
from foretoken.reports.rivals import rivals_section
from foretoken.reports.run_table import run_table
from foretoken.reports.study_results import StudyResults
from foretoken.reports.svg import Budget, budget_styles, budgets_of
from foretoken.reports.verdict import sentence, verdict
from foretoken.store.atomic import write_file


def render(study: StudyResults) -> str:
    """The page as text; equal studies give equal text."""
    budgets = budgets_of(study)
    return document(
        study.name,
        "foretoken report",
        sentence(study),
        _sections(study, budgets),
        rebuild=commands(study)[-1],
        styles=budget_styles(budgets),
    )


def write(study: StudyResults, folder: str | Path) -> Path:
    """Write `report/index.html` in the study's folder and return its path; StoreError when a link leads out of it."""
    path = Path(folder) / "report" / "index.html"
    if path.parent.is_symlink():
        raise StoreError(f"{path.parent} is a link, and a report stays in its study's folder", cure="delete the link")
    write_file(path, render(study).encode())
    return path


def _sections(study: StudyResults, budgets: dict[str, Budget]) -> list[Html | None]:
    return [
        verdict(study),
        forecast_section(study, budgets),
        rivals_section(study),
        isoflop_section(study, budgets),
        law_section(study, budgets),
        section("runs", "The runs", curves_figure(study, budgets), positions_figure(study), run_table(study, budgets)),
        making_section(study),
    ]
