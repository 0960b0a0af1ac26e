"""Figure: what the same runs would forecast by another objective."""

from __future__ import annotations

from foretoken.fits.result import Fit
from foretoken.laws import find_law
from foretoken.reports.elements import Html, figure, table
from foretoken.reports.forest import Line, forest
from foretoken.reports.numbers import number, percent, significant


def objective_figure(fit: Fit) -> Html | None:
    """The loss at 8 times the largest compute by each objective; None for a fit without the comparison."""
    if not fit.sensitivity:
        return None
    law = find_law(fit.law)
    told = {entry["objective"]: entry["loss"] for entry in fit.sensitivity}
    chosen = told.get("pooled", next(iter(told.values())))
    apart = max(abs(value / chosen - 1) for value in told.values()) if chosen else 0.0
    title = f"Another objective moves the forecast at 8 times the compute by at most {percent(apart, 2)}"
    caption = (
        "The law fitted to the same runs by each objective, at 8 times the compute of the largest run. Coloured: the "
        "one that forecasts use. What moves by more than the interval of a forecast is a doubt about the runs."
    )
    lines = [Line(_name(name), value, said=number(value, 4), strong=name == "pooled") for name, value in told.items()]
    panels = forest("objectives", lines, f"{law.column} ({law.unit})", title=title, described=caption)
    names = list(law.parameters)
    rows = [
        [
            _name(entry["objective"]),
            number(entry["loss"], 4),
            *(significant(entry["parameters"][key], 4) for key in names),
        ]
        for entry in fit.sensitivity
    ]
    data = table(["objective", "at 8 × compute", *names], rows, class_="numbers")
    return figure("objectives", title, panels, caption, data)


def _name(objective: str) -> str:
    return {"pooled": "pooled: what forecasts use"}.get(objective, objective.replace("_", " "))
