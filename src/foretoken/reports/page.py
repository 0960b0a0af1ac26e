"""The report: one HTML file that needs nothing else, readable without a script."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from pathlib import Path

from foretoken.errors import StoreError
from foretoken.reports.curve_figure import curves_figure
from foretoken.reports.drawing import Budget, budget_styles, budgets_of
from foretoken.reports.elements import Html, element, section
from foretoken.reports.forecast_figure import forecast_section
from foretoken.reports.inputs import StudyResults
from foretoken.reports.isoflop_figure import isoflop_section
from foretoken.reports.law_check import law_section
from foretoken.reports.making import commands, making_section
from foretoken.reports.rivals import rivals_section
from foretoken.reports.run_table import run_table
from foretoken.reports.verdict import sentence, verdict
from foretoken.runs.door import write_file


def render(study: StudyResults) -> str:
    """The page as text; equal studies give equal text."""
    budgets = budgets_of(study)
    body = element("body", _header(study), element("main", *_sections(study, budgets)), _footer(study), _script())
    return "<!doctype html>\n" + element("html", _head(study, budgets), body, lang="en") + "\n"


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
        section("runs", "The runs", curves_figure(study, budgets), run_table(study, budgets)),
        making_section(study),
    ]


def _head(study: StudyResults, budgets: dict[str, Budget]) -> Html:
    """Title, style, and a policy that lets nothing in from outside and only our script run."""
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src '{_script_hash()}'"
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=f"{policy}; base-uri 'none'; form-action 'none'"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="generator", content="foretoken"),
        element("meta", name="description", content=sentence(study)),
        element("title", f"{study.name}: foretoken report"),
        element("link", rel="icon", href="data:,"),
        element("style", Html(_asset("page.css") + budget_styles(budgets))),
    )


def _header(study: StudyResults) -> Html:
    return element("header", element("p", "foretoken report", class_="kicker"), element("h1", study.name))


def _footer(study: StudyResults) -> Html:
    return element(
        "footer",
        element(
            "p",
            "Made by foretoken. This file needs no network. Rebuild it with ",
            element("code", commands(study)[-1]),
            ".",
        ),
    )


def _script() -> Html:
    return element("script", Html(_asset("page.js")))


def _script_hash() -> str:
    """The script's hash as the policy names it."""
    digest = hashlib.sha256(_asset("page.js").encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


@cache
def _asset(name: str) -> str:
    return files("foretoken.reports").joinpath(name).read_text(encoding="utf-8")
