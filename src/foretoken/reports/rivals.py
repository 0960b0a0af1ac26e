"""The plain rivals: what one would have said without a law."""

from __future__ import annotations

from foretoken.reports.elements import Html, element, section, table
from foretoken.reports.numbers import number, percent
from foretoken.reports.study_results import StudyResults

RIVAL_NAMES = {
    "largest_run": "largest small run",
    "power_law": "power law in compute",
    "power_law_all_runs": "power law, all runs",
    "chinchilla": "approach 3, plain",
}
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
    rows: list[list[object]] = [["the law", number(told.get("loss"), 4), _error(outcome.get("error")), "the fit below"]]
    errors = outcome.get("rivals") or {}
    for name, loss in study.rivals.items():
        known = errors.get(name)
        if known is None and outcome.get("loss"):
            known = (loss - outcome["loss"]) / outcome["loss"]
        rows.append([RIVAL_NAMES.get(name, name), number(loss, 4), _error(known), RIVAL_RULES.get(name, "")])
    headers = ["", "forecast (nats)", "error", "how"]
    return section(
        "rivals",
        "Does it beat plain guesses?",
        element("p", "A forecast earns its place by beating what anyone could say without it."),
        table(headers, rows, class_="numbers words-4"),
    )


def _error(value: object) -> str:
    return "open" if value is None else percent(value, 2, signed=True)
