"""The table of all runs: it sorts, and it goes home as CSV."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import Any

from foretoken.reports.elements import Html, element, join
from foretoken.reports.numbers import count, missing, number, power, significant
from foretoken.reports.study_results import TARGET, StudyResults
from foretoken.reports.svg import Budget
from foretoken.runs.record import RunRecord
from foretoken.units import format_duration

Write = Callable[[Any], str]
SHOWN: dict[str, tuple[str, Write]] = {
    "params_total": ("N", count),
    "tokens": ("D", count),
    "flops": ("FLOP", power),
    "loss": ("loss", lambda value: number(value, 4)),
    "loss_se": ("± s.e.", lambda value: number(value, 4)),
    "bits_per_byte": ("bits/byte", number),
    "learning_rate": ("peak l.r.", significant),
    "seconds": ("time", lambda value: "—" if missing(value) else format_duration(value)),
}
"""Columns that are shown, with their heading; the CSV has them all."""


def run_table(study: StudyResults, budgets: dict[str, Budget]) -> Html:
    """The table with its CSV link; a sentence while there are no runs."""
    frame = study.table.frame
    if not len(frame):
        return element("p", "No run has ended yet.")
    shown = {name: write for name, write in SHOWN.items() if name in frame}
    ended = {record.spec.key: record for record in study.records}
    rows = [_row(row, shown, budgets, ended.get(str(row.get("run")))) for row in _ordered(study, budgets)]
    heads = ["run", "budget", *(heading for heading, _ in shown.values()), "status"]
    head = element("tr", *(element("th", heading, scope="col") for heading in heads))
    whole = element("table", element("thead", head), element("tbody", *rows), class_="sortable numbers")
    words = "N: all trained parameters. D: training tokens. Loss: nats per token on the validation text."
    return join(
        [
            element("p", words, " ", _csv_link(study)),
            element("div", whole, class_="scroll", tabindex="0", role="region", aria_label="table of runs"),
            _failures(study),
        ]
    )


def _ordered(study: StudyResults, budgets: dict[str, Budget]) -> list[dict[Any, Any]]:
    """Rows by budget, then by size; the target last."""
    ranks = {group: rank for rank, group in enumerate(budgets)}
    rows = study.table.frame.to_dict("records")
    return sorted(rows, key=lambda row: (ranks.get(str(row.get("group")), len(ranks)), row.get("params_total", 0.0)))


def _row(
    row: dict[Any, Any], shown: dict[str, tuple[str, Write]], budgets: dict[str, Budget], record: RunRecord | None
) -> Html:
    group = str(row.get("group", ""))
    label = budgets[group].label if group in budgets else group
    number_of = budgets[group].colour[-2:] if group in budgets else None
    dot = element("i", class_="dot", style=f"background:var(--budget-{int(number_of, 16)})" if number_of else None)
    flops = row.get("flops")
    cells = [
        element("td", element("code", str(row.get("run", ""))[:8])),
        element("td", dot, label, data_value=None if missing(flops) else flops),
        *(
            element("td", write(row.get(name)), data_value="" if missing(row.get(name)) else row[name])
            for name, (_, write) in shown.items()
        ),
        element("td", _status(row, record)),
    ]
    return element("tr", *cells, class_=TARGET if group == TARGET else None)


def _status(row: dict[Any, Any], record: RunRecord | None) -> str:
    """How the run ended, with the cause when it did not end well."""
    status = str(row.get("status", ""))
    cause = _cause(record) if record and record.status != "finished" else ""
    if record and record.skipped_steps:
        status = f"{status}, {record.skipped_steps} steps skipped"
    return f"{status}: {cause}" if cause else status


def _cause(record: RunRecord) -> str:
    lines = (record.error or "").strip().splitlines() or record.events
    return lines[-1] if lines else ""


def _failures(study: StudyResults) -> Html | None:
    """Tracebacks of failed runs, whole."""
    parts = [
        element("details", element("summary", f"Traceback of run {record.spec.key[:8]}"), element("pre", record.error))
        for record in study.records
        if record.error
    ]
    return element("div", *parts) if parts else None


def _csv_link(study: StudyResults) -> Html:
    """A button that needs no script: the rows travel in the link itself."""
    file = io.StringIO()
    study.table.frame.to_csv(file, index=False)
    packed = base64.b64encode(file.getvalue().encode()).decode()
    link = f"data:text/csv;charset=utf-8;base64,{packed}"
    return element("a", "Save as CSV", href=link, download=f"{study.name}-runs.csv", class_="button")
