"""The page of a study: the verdict on its first screen, then forecast, rivals, law, runs and provenance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum

from foretoken.fits.check import Check
from foretoken.reports.forecast_figure import RIVAL_NAMES, ForecastView, MeasuredRun, forecast_section
from foretoken.reports.html import Html, as_sentence, element, join, section, table
from foretoken.reports.isoflop_figures import isoflop_section
from foretoken.reports.law_section import law_section, no_law_section
from foretoken.reports.numbers import count, factor, number, percent, power
from foretoken.reports.palette import Budgets, budget_styles, budgets_of
from foretoken.reports.provenance import commands, provenance_section, run_table
from foretoken.reports.run_figures import curves_figure, positions_figure
from foretoken.reports.scores_page import pairs_and_shots
from foretoken.reports.study_results import StudyResults
from foretoken.reports.summary import Page, PageOptions
from foretoken.reports.tail_page import tail_section, tail_styles
from foretoken.reports.task_scores_section import task_scores_section
from foretoken.units import format_duration

RIVAL_RULES = {
    "largest_run": "the loss of the largest small run",
    "power_law": "a straight line in log loss over log compute, through the best run of each budget",
    "power_law_all_runs": "the same line through all runs",
    "chinchilla": "Chinchilla's form by its authors' estimator: Huber on log loss, no prior",
}


def study_page(study: StudyResults, options: PageOptions) -> Page:
    """All that a study's folder holds; what is missing yet leaves its section out."""
    budgets = budgets_of(study.ladder)
    return Page(
        title=options.source or study.name,
        kicker="foretoken report",
        sentence=verdict_sentence(study),
        parts=[
            verdict(study),
            _forecast(study, budgets),
            rivals_section(study),
            task_scores_section(study),
            *_abilities(study),
            None if study.isoflop is None else isoflop_section(study.isoflop, budgets, study.forecast),
            _law(study, budgets),
            _runs(study, budgets),
            provenance_section(study),
        ],
        styles=budget_styles(budgets) + (tail_styles(study.tail, "#tail") if study.tail else ""),
        rebuild=commands(study)[-1],
    )


def _abilities(study: StudyResults) -> Iterator[Html]:
    """What the scores say beyond the target's: pairs of metrics, shots, mentions."""
    if study.score_curves:
        yield from pairs_and_shots(study.score_curves)
    if study.tail:
        yield tail_section(study.tail)


def _law(study: StudyResults, budgets: Budgets) -> Html:
    if study.fit is None:
        return no_law_section(study.refusal)
    return law_section(study.fit, budgets, study.entropy_rate, study.approach3)


def _runs(study: StudyResults, budgets: Budgets) -> Html:
    figures = curves_figure(study.records, budgets), positions_figure(study.records)
    return section("runs", "The runs", *figures, run_table(study, budgets))


def _forecast(study: StudyResults, budgets: Budgets) -> Html | None:
    """The section; None while there is neither a loss nor a forecast to draw."""
    runs = _measured(study)
    if not runs and study.forecast is None:
        return None
    view = ForecastView(
        runs=runs,
        forecast=study.forecast,
        fit=study.fit,
        frozen=True,
        outcome=study.outcome,
        rivals=study.rivals,
        goal=study.design.target.flops if study.design else None,
        entropy_rate=study.entropy_rate,
        counted=bool(study.records),
    )
    return forecast_section(view, budgets)


def _measured(study: StudyResults) -> list[MeasuredRun]:
    """The small runs that have a loss; those that the fit does not rest on are marked."""
    ladder = study.ladder
    if not len(ladder) or not {"loss", "flops"} <= set(ladder):
        return []
    by_law = {run.run: run.fitted for run in study.fit.runs} if study.fit else {}
    return [
        MeasuredRun(
            group=str(row.get("group", "")),
            flops=row["flops"],
            loss=row["loss"],
            by_law=by_law.get(str(row.get("run"))),
            left_out=bool(by_law) and str(row.get("run")) not in by_law,
        )
        for row in ladder.dropna(subset=["loss", "flops"]).to_dict("records")
    ]


class State(Enum):
    """How a forecast stands; the value is the word on the page."""

    NONE = "no forecast yet"
    OPEN = "forecast open"
    INSIDE = "inside"
    OUTSIDE = "outside"
    DISTRUSTED = "not to be trusted"


# Each state has a shape of its own, so that no colour has to tell them apart.
SHAPES = {
    State.NONE: '<circle cx="12" cy="12" r="8.5" stroke-dasharray="2.5 3.5"/>',
    State.OPEN: '<circle cx="12" cy="12" r="8.5"/>',
    State.INSIDE: '<circle cx="12" cy="12" r="8.5"/><path d="M8 12.5l3 3 5.5-6.5"/>',
    State.OUTSIDE: '<path d="M12 2.5l9.5 9.5-9.5 9.5-9.5-9.5z"/><path d="M9 9l6 6M15 9l-6 6"/>',
    State.DISTRUSTED: '<path d="M12 3l10 18h-20z"/><path d="M12 9.5v5.5M12 17.6v.6"/>',
}


def state_of(study: StudyResults) -> State:
    """The state; a refusal outweighs everything, because then no number is to be used."""
    # Asked first: an outcome inside the interval does not make a refused forecast one to rely on.
    if refusals(study):
        return State.DISTRUSTED
    if study.forecast is None:
        return State.NONE
    if study.outcome is None:
        return State.OPEN
    return State.INSIDE if study.outcome.inside else State.OUTSIDE


def refusals(study: StudyResults) -> list[str]:
    """Why the numbers are not to be trusted; empty otherwise."""
    return ([study.refusal] if study.refusal else []) + [check.evidence for check in _checks(study) if check.is_refusal]


def _checks(study: StudyResults) -> Sequence[Check]:
    """The forecast's own checks."""
    return study.entry.checks if study.entry else ()


def verdict(study: StudyResults) -> Html:
    """The first screen: a state in word and shape, one sentence, and the facts that a decision needs."""
    state = state_of(study)
    icon = Html(f'<svg class="state-shape" viewBox="0 0 24 24" aria-hidden="true">{SHAPES[state]}</svg>')
    badge = element("p", icon, state.value, class_="state", data_state=state.name.lower())
    why = [element("p", reason, class_="doubt") for reason in refusals(study)]
    doubts = [*study.told, *(check.evidence for check in _checks(study) if check.is_doubt)]
    why += [element("p", "Read with care: ", as_sentence(doubt), class_="care") for doubt in doubts]
    facts = (element("div", element("dt", name), element("dd", *words)) for name, words in _facts(study))
    sentence = element("p", verdict_sentence(study), class_="sentence")
    return element("section", badge, sentence, *why, element("dl", *facts), id="verdict")


def verdict_sentence(study: StudyResults) -> str:
    """The whole page in one sentence."""
    forecast, outcome = study.forecast, study.outcome
    if forecast is None:
        verb = "is" if study.counts.finished == 1 else "are"
        return f"{_progress(study)} {verb} finished; no forecast has been frozen yet."
    words = (
        f"A run of {power(forecast.flops)} FLOP is forecast to reach {number(forecast.loss)} nats per token "
        f"({percent(forecast.level, 0)}: {number(forecast.low)} to {number(forecast.high)})"
    )
    return f"{words}." if outcome is None else f"{words}; it reached {number(outcome.loss)}: {outcome.verdict}."


def _progress(study: StudyResults) -> str:
    counts = study.counts
    # "1 of 24 runs", but "1 run": the noun goes with the number beside it.
    beside = counts.finished if counts.planned is None else counts.planned
    noun = "run" if beside == 1 else "runs"
    return f"{counts.finished} {noun}" if counts.planned is None else f"{counts.finished} of {beside} {noun}"


def _facts(study: StudyResults) -> Iterator[tuple[str, list[object]]]:
    """Name and words of each fact, in the order of reading."""
    if study.entry is not None:
        yield from _forecast_facts(study)
    yield from _sizes(study)
    yield "Runs", [_progress(study), _small(_run_counts(study))]
    if study.cost is not None:
        kwh, source = study.cost.kwh, study.cost.kwh_source or "estimate"
        energy = "energy unknown" if kwh is None else f"{kwh:.2g} kWh ({source})"
        yield "Cost", [format_duration(study.cost.seconds), _small(energy)]


def _forecast_facts(study: StudyResults) -> Iterator[tuple[str, list[object]]]:
    """The forecast, its outcome, when it was frozen, and how far it reaches."""
    entry, outcome = study.entry, study.outcome
    assert entry is not None
    forecast = entry.forecast
    yield "Forecast", [number(forecast.loss, 4), _small(f"±{percent(forecast.half_width)}")]
    if outcome is not None:
        yield "Outcome", [number(outcome.loss, 4), _small(_miss(outcome.error))]
    yield "Frozen", [_time(entry.frozen_at), _small(f"data {entry.data_sha256[:12]}")]
    reach = forecast.extrapolation
    sizes = f"parameters {factor(reach.get('params'))}, tokens {factor(reach.get('tokens'))}"
    yield "Beyond the data", [f"compute {factor(entry.compute_factor)}", _small(sizes)]


def _sizes(study: StudyResults) -> Iterator[tuple[str, list[object]]]:
    """The target, and the share of its compute that the small runs take."""
    design = study.design
    if design is None:
        return
    target = design.target
    yield "Target", [f"{count(target.parameters.total)} parameters", _small(f"{count(target.tokens)} tokens")]
    share = percent(design.total_flops / target.flops, 0)
    yield "Small runs together", [f"{share} of the target", _small(f"{power(design.total_flops)} FLOP")]


def _run_counts(study: StudyResults) -> str:
    counts = study.counts
    fitted = [f"{study.fit.rows.used} fitted"] if study.fit else []
    running = [f"{counts.running} running"] if counts.running else []
    return ", ".join([*fitted, *running, f"{counts.diverged} diverged", f"{counts.failed} failed"])


def _miss(error: float) -> str:
    """The error in words: its sign alone is read the wrong way round too often."""
    return f"forecast {percent(abs(error), 2)} {'above' if error >= 0 else 'below'}"


def _time(stamp: str) -> str:
    """2026-01-31T12:34:56.789+00:00 -> 2026-01-31 12:34 UTC."""
    return f"{stamp[:10]} {stamp[11:16]} UTC"


def _small(words: str) -> Html:
    return join([element("small", words)])


def rivals_section(study: StudyResults) -> Html | None:
    """Forecast and rivals side by side, with their errors once there is an outcome; None before a forecast."""
    forecast, outcome = study.forecast, study.outcome
    if forecast is None or not study.rivals:
        return None
    errors = outcome.rivals if outcome else {}
    rows = [["the law", number(forecast.loss, 4), _error(outcome.error if outcome else None), "the fit below"]]
    rows += [
        [RIVAL_NAMES.get(name, name), number(loss, 4), _error(errors.get(name)), RIVAL_RULES.get(name, "")]
        for name, loss in study.rivals.items()
    ]
    return section(
        "rivals",
        "Does it beat simple baselines?",
        element("p", "A forecast is worth its cost where it beats what anyone could say without a law."),
        table(["", "forecast (nats)", "error", "rule"], rows, class_="numbers words-4"),
    )


def _error(error: float | None) -> str:
    return "open" if error is None else percent(error, 2, signed=True)
