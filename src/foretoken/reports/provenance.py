"""How a study was made: conventions, corpus, machine, settings and commands; and the table of all runs."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from foretoken.escapes import command
from foretoken.reports.html import Html, details, element, join, section, table
from foretoken.reports.numbers import MISSING, count, missing, number, percent, power, significant
from foretoken.reports.palette import Budgets
from foretoken.reports.paths import without_folders
from foretoken.reports.study_results import TARGET, StudyResults
from foretoken.runs.command_fields import untold
from foretoken.runs.record import RunRecord
from foretoken.units import format_duration

CONVENTIONS = (
    ("N", "all trained parameters, embeddings and head included, unless the fit names another column"),
    ("D", "training tokens that the network read; behind an encoder, those of source and target"),
    (
        "FLOP",
        "every multiply-add of every matrix product, forward and backward, with attention and the output head",
    ),
    (
        "loss",
        "nats per predicted token, on one fixed set of held-out documents; losses of different objectives "
        "measure different things and are never compared",
    ),
    ("interval", "where one new run will fall, not only where the law lies"),
)


def provenance_section(study: StudyResults) -> Html:
    """The section, with the settings folded away."""
    facts = table(["", ""], [[name, words] for name, words in _facts(study)], class_="plain")
    settings = table(["setting", "value"], list(_flat_json(study.settings_json)), class_="plain")
    return section(
        "making",
        "How it was made",
        element("pre", element("code", "\n".join(commands(study))), tabindex="0"),
        facts,
        element("h3", "Conventions"),
        table(["", ""], _conventions(study), class_="plain"),
        details("Settings of the study file, defaults included", settings),
    )


def _conventions(study: StudyResults) -> list[tuple[str, str]]:
    """What is counted how; of an own trainer as its forecast was frozen."""
    own = study.entry.conventions if study.entry and study.entry.spec and study.entry.spec.trainer else {}
    return [(name, own.get("FLOPs" if name == "FLOP" else name, words)) for name, words in CONVENTIONS]


def commands(study: StudyResults) -> list[str]:
    """What was typed to make the study, and what rebuilds its page, last."""
    return [without_folders(command) for command in study.commands] or [command("report", f"runs/{study.name}")]


def _facts(study: StudyResults) -> Iterator[tuple[str, str]]:
    corpus, design, cost = study.corpus, study.design, study.cost
    if corpus is not None:
        size = f", {count(corpus.bytes)} bytes" if corpus.bytes else ""
        yield "corpus", f"{corpus.source}, {count(corpus.tokens)} tokens{size}"
        yield "sha256 of the corpus", corpus.sha256 or MISSING
    if study.entropy_rate is not None:
        yield "entropy rate of the source", f"{number(study.entropy_rate, 4)} nats per token"
    yield from _identities(study)
    if design is not None:
        share = percent(design.total_flops / design.target.flops, 0)
        yield "compute of the small runs", f"{power(design.total_flops)} FLOP, {share} of the target's"
    if cost is not None:
        yield "time", f"{format_duration(cost.seconds)} of training, all processes together"
    if cost is not None and cost.kwh is not None:
        yield "energy", f"{cost.kwh:.2g} kWh ({cost.kwh_source or 'estimate'})"
    if cost is not None and cost.machine:
        yield "machine", cost.machine
    if study.fit is not None:
        yield "sha256 of the fitted rows", study.fit.data_sha256
    version = study.version or (study.fit.version if study.fit else "")
    if version:
        yield "foretoken", version


def _identities(study: StudyResults) -> Iterator[tuple[str, str]]:
    """What the runs' specs record; one value each in a sound study, all of them otherwise."""
    specs = [record.spec for record in study.records]
    identities: dict[str, set[str]] = {
        "trained by": {without_folders(" ".join(spec.trainer.command.split())) for spec in specs if spec.trainer},
        "objective": {spec.objective.kind for spec in specs if spec.trainer is None},
        "tokenizer": {spec.tokenizer for spec in specs if spec.trainer is None},
        "eval set": {spec.eval_set for spec in specs},
        "precision": {spec.precision for spec in specs if "precision" not in untold(spec)},
        "software": {spec.software for spec in specs},
    }
    for name, values in identities.items():
        if values:
            yield name, ", ".join(sorted(values))
    devices = sorted({record.device for record in study.records if record.device})
    if devices and not (study.cost and study.cost.machine):
        yield "machine", ", ".join(devices)


def _flat_json(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as dotted names; what is not set is left out."""
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _flat_json(value, f"{name}.")
        elif value is not None:
            yield name, without_folders(str(value))


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


def run_table(study: StudyResults, budgets: Budgets) -> Html:
    """The table with its CSV link; a sentence while there are no runs."""
    frame = study.table.frame
    if not len(frame):
        return element("p", "No run has ended yet.")
    shown = {name: write for name, write in SHOWN.items() if name in frame}
    # The table has the status, the records the reason.
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


def _ordered(study: StudyResults, budgets: Budgets) -> list[dict[Any, Any]]:
    """Rows by budget, then by size; the target last."""
    ranks = {group: rank for rank, group in enumerate(budgets)}
    rows = study.table.frame.to_dict("records")
    return sorted(rows, key=lambda row: (ranks.get(str(row.get("group")), len(ranks)), row.get("params_total", 0.0)))


def _row(row: dict[Any, Any], shown: dict[str, tuple[str, Write]], budgets: Budgets, record: RunRecord | None) -> Html:
    group = str(row.get("group", ""))
    budget = budgets.get(group)
    dot = element("i", class_="dot", style=f"background:{budget.variable}" if budget else None)
    flops = row.get("flops")
    cells = [
        element("td", element("code", str(row.get("run", ""))[:8])),
        element("td", dot, budget.label if budget else group, data_value=None if missing(flops) else flops),
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
    cause = _cause(record) if record and not record.is_finished else ""
    if record and record.skipped_steps:
        status = f"{status}, {record.skipped_steps} steps skipped"
    return f"{status}: {cause}" if cause else status


def _cause(record: RunRecord) -> str:
    lines = (record.error or "").strip().splitlines() or record.events
    return without_folders(lines[-1]) if lines else ""


def _failures(study: StudyResults) -> Html | None:
    """Tracebacks of failed runs, whole."""
    parts = [
        element(
            "details",
            element("summary", f"Traceback of run {record.spec.key[:8]}"),
            element("pre", without_folders(record.error)),
        )
        for record in study.records
        if record.error
    ]
    return element("div", *parts) if parts else None


def _csv_link(study: StudyResults) -> Html:
    """A button that needs no script: the rows travel in the link itself."""
    # base64 keeps quotes, commas and line ends of a user's names from ending the link.
    packed = base64.b64encode(study.table.csv().encode()).decode()
    link = f"data:text/csv;charset=utf-8;base64,{packed}"
    return element("a", "Save as CSV", href=link, download=f"{study.name}-runs.csv", class_="button")
