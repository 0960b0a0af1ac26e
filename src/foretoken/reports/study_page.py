"""The page of a study: the verdict on its first screen, then forecast, rivals, law, runs and provenance."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

from foretoken.errors import StoreError
from foretoken.reports.forecast_figure import RIVAL_NAMES, forecast_section
from foretoken.reports.html import Html, document, element, join, section, table
from foretoken.reports.isoflop_figures import isoflop_section
from foretoken.reports.law_section import law_section
from foretoken.reports.numbers import MISSING, count, factor, number, percent, power
from foretoken.reports.provenance import commands, making_section, run_table
from foretoken.reports.run_figures import curves_figure, positions_figure
from foretoken.reports.study_results import StudyResults
from foretoken.reports.svg import Budget, budget_styles, budgets_of
from foretoken.store.atomic import write_file
from foretoken.units import format_duration


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


class State(Enum):
    """How a forecast stands; the value is the word on the page."""

    NONE = "no forecast yet"
    OPEN = "forecast open"
    INSIDE = "inside"
    OUTSIDE = "outside"
    DISTRUSTED = "not to be trusted"


SHAPES = {
    State.NONE: '<circle cx="12" cy="12" r="8.5" stroke-dasharray="2.5 3.5"/>',
    State.OPEN: '<circle cx="12" cy="12" r="8.5"/>',
    State.INSIDE: '<circle cx="12" cy="12" r="8.5"/><path d="M8 12.5l3 3 5.5-6.5"/>',
    State.OUTSIDE: '<path d="M12 2.5l9.5 9.5-9.5 9.5-9.5-9.5z"/><path d="M9 9l6 6M15 9l-6 6"/>',
    State.DISTRUSTED: '<path d="M12 3l10 18h-20z"/><path d="M12 9.5v5.5M12 17.6v.6"/>',
}


def state_of(study: StudyResults) -> State:
    """The state; a refusal outweighs everything, because then no number is to be used."""
    if reasons(study):
        return State.DISTRUSTED
    if not study.predicted:
        return State.NONE
    if not study.outcome or study.outcome.get("loss") is None:
        return State.OPEN
    return State.INSIDE if study.outcome.get("inside") else State.OUTSIDE


def _evidence(study: StudyResults, severity: str) -> list[str]:
    """What the forecast's own checks of this severity saw."""
    checks: list[Any] = study.predicted.get("checks") or []
    return [str(check.get("evidence", "")) for check in checks if check.get("severity") == severity]


def reasons(study: StudyResults) -> list[str]:
    """Why the numbers are not to be trusted, in words; empty otherwise."""
    return ([study.refusal] if study.refusal else []) + _evidence(study, "refusal")


def verdict(study: StudyResults) -> Html:
    """State, sentence and facts."""
    state = state_of(study)
    icon = Html(f'<svg class="state-shape" viewBox="0 0 24 24" aria-hidden="true">{SHAPES[state]}</svg>')
    badge = element("p", icon, state.value, class_="state", data_state=state.name.lower())
    why = [element("p", reason, class_="doubt") for reason in reasons(study)]
    why += [element("p", f"Read with care: {doubt}.", class_="care") for doubt in _evidence(study, "doubt")]
    facts = (element("div", element("dt", name), element("dd", *words)) for name, words in _facts(study))
    return element(
        "section", badge, element("p", sentence(study), class_="sentence"), *why, element("dl", *facts), id="verdict"
    )


def sentence(study: StudyResults) -> str:
    """The whole page in one sentence."""
    told, outcome = study.predicted, study.outcome or {}
    if not told:
        return f"{_progress(study)} are finished; no forecast has been frozen yet."
    words = (
        f"A run of {power(told.get('flops'))} FLOP is forecast to reach {number(told.get('loss'))} nats per token "
        f"({percent(told.get('level'), 0)}: {number(told.get('low'))} to {number(told.get('high'))})"
    )
    if outcome.get("loss") is None:
        return words + "."
    where = "inside" if outcome.get("inside") else "outside"
    return f"{words}; it reached {number(outcome['loss'])}: {where}."


def _progress(study: StudyResults) -> str:
    finished, planned = study.counts.get("finished", 0), study.counts.get("planned")
    return f"{finished} of {planned} runs" if planned is not None else f"{finished} runs"


def _facts(study: StudyResults) -> Iterator[tuple[str, list[object]]]:
    """Name and words of each fact, in the order of reading."""
    told, outcome = study.predicted, study.outcome or {}
    if told:
        low, high, loss = (told.get(key) for key in ("low", "high", "loss"))
        half = (high - low) / 2 / loss if low and high and loss else None
        yield "Forecast", [number(loss, 4), _small(f"±{percent(half)}")]
    if outcome.get("loss") is not None:
        yield "Outcome", [number(outcome["loss"], 4), _small(_miss(outcome.get("error")))]
    if told.get("frozen_at"):
        yield "Frozen", [_time(told["frozen_at"]), _small(f"data {str(told.get('data_sha256') or MISSING)[:12]}")]
    if told:
        far = told.get("extrapolation") or {}
        compute = told.get("compute_factor") or far.get("flops")
        beside = f"parameters {factor(far.get('params'))}, tokens {factor(far.get('tokens'))}"
        yield "Beyond the data", [f"compute {factor(compute)}", _small(beside)]
    yield from _sizes(study)
    yield "Runs", [_progress(study), _small(_run_counts(study))]
    yield from _cost(study)


def _sizes(study: StudyResults) -> Iterator[tuple[str, list[object]]]:
    """The target, and what the small runs take of it."""
    target, share = study.design.get("target") or study.predicted, study.design.get("share_of_target")
    if target:
        size = target.get("params_total", target.get("params"))
        yield "Target", [f"{count(size)} parameters", _small(f"{count(target.get('tokens'))} tokens")]
    if share is not None:
        total = power(study.design.get("total_flops"))
        yield "Small runs together", [f"{percent(share, 0)} of the target", _small(f"{total} FLOP")]


def _run_counts(study: StudyResults) -> str:
    used = [f"{study.fit.rows.used} fitted"] if study.fit else []
    running = [f"{study.counts['running']} running"] if study.counts.get("running") else []
    return ", ".join(used + running + [f"{study.counts.get(kind, 0)} {kind}" for kind in ("diverged", "failed")])


def _cost(study: StudyResults) -> Iterator[tuple[str, list[object]]]:
    seconds, kwh = study.cost.get("seconds"), study.cost.get("kwh")
    if seconds is not None:
        source = study.cost.get("kwh_source") or "estimate"
        energy = f"{kwh:.2g} kWh ({source})" if kwh is not None else "energy unknown"
        yield "Cost", [format_duration(seconds), _small(energy)]


def _miss(error: float | None) -> str:
    """The error in words: its sign alone is read the wrong way round too often."""
    if error is None:
        return ""
    return f"forecast {percent(abs(error), 2)} {'above' if error >= 0 else 'below'}"


def _time(stamp: str) -> str:
    """2026-01-31T12:34:56.789+00:00 -> 2026-01-31 12:34 UTC."""
    return f"{stamp[:10]} {stamp[11:16]} UTC"


def _small(words: str) -> Html:
    return join([element("small", words)])


RIVAL_RULES = {
    "largest_run": "the loss of the ladder's largest run",
    "power_law": "a straight line in log loss over log compute through the best run of each budget",
    "power_law_all_runs": "the same through all runs",
    "chinchilla": "Chinchilla's form by its authors' estimator: Huber on log loss, nothing assumed",
}


def rivals_section(study: StudyResults) -> Html | None:
    """Forecast and rivals side by side, with their errors once there is an outcome; None before a forecast."""
    told, outcome = study.predicted, study.outcome or {}
    if not told or not study.rivals:
        return None
    rows: list[list[object]] = [
        ["the law", number(told.get("loss"), 4), _signed_error(outcome.get("error")), "the fit below"]
    ]
    errors = outcome.get("rivals") or {}
    for name, loss in study.rivals.items():
        known = errors.get(name)
        if known is None and outcome.get("loss"):
            known = (loss - outcome["loss"]) / outcome["loss"]
        rows.append([RIVAL_NAMES.get(name, name), number(loss, 4), _signed_error(known), RIVAL_RULES.get(name, "")])
    headers = ["", "forecast (nats)", "error", "how"]
    return section(
        "rivals",
        "Does it beat plain guesses?",
        element("p", "A forecast earns its place by beating what anyone could say without it."),
        table(headers, rows, class_="numbers words-4"),
    )


def _signed_error(value: object) -> str:
    return "open" if value is None else percent(value, 2, signed=True)
