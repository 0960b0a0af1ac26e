"""Page: the parts of one page; PageOptions: what else it may use; and its first screen: sentence, facts, doubts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from foretoken.fits.check import Check
from foretoken.fits.objectives import MAP
from foretoken.reports.html import Html, as_sentence, element, join, section, with_code

if TYPE_CHECKING:
    from foretoken.fits.result import Fit
    from foretoken.forecasts.band import PlacedPoint
    from foretoken.plans.loss_model import LossModel
    from foretoken.runs.table import RunTable

ESTIMATORS = {MAP: "MAP"}
"""Estimators that are written otherwise than their key."""
Fact = tuple[str, str, str]
"""Name, value, and a remark in small letters (or an empty text)."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """What one page holds, before it becomes a document."""

    title: str
    kicker: str
    """The small line above the title: the command that the page belongs to."""
    sentence: str
    """The finding."""
    parts: Iterable[Html | None]
    """The first is the first screen. A generator draws the others when they are asked for, which takes a second."""
    styles: str = ""
    """CSS beside the page's own."""
    rebuild: str = ""
    """The command that the foot repeats, unless the options give another."""


@dataclass(frozen=True, kw_only=True)
class PageOptions:
    """What a page can use beside its result; each kind of page reads what it needs."""

    source: str = ""
    """Name of the table or file behind the result: the title."""
    rebuild: str = ""
    """The command that makes the page again, for its foot."""
    fit: Fit | None = None
    """Of a forecast: the fit that made it, for the law, its runs and its checks."""
    losses: LossModel | None = None
    """Of a plan: the losses it was made with, for the curves."""
    runs: RunTable | None = None
    """Of the approaches: the table they read, for the IsoFLOP curves."""
    points: Mapping[str, Sequence[PlacedPoint]] = field(default_factory=dict)
    """Of a ledger: points of running targets, by the name of the forecast."""


def lead(sentence: str, facts: Iterable[Fact], checks: Iterable[Check] = ()) -> Html:
    """The first screen: the sentence, the doubts about it, and facts."""
    serious = [with_code(as_sentence(check.evidence)) for check in checks if not check.is_note]
    doubt = element("p", "Read with care: ", join(serious, " "), class_="doubt") if serious else None
    boxes = [
        element(
            "div", element("dt", name), element("dd", value, element("small", with_code(remark)) if remark else None)
        )
        for name, value, remark in facts
    ]
    return element("section", element("p", sentence, class_="sentence"), doubt, element("dl", *boxes), id="verdict")


def assumed_section(assumed: Sequence[str]) -> Html | None:
    """What was assumed, in sentences; None where nothing was."""
    if not assumed:
        return None
    items = (element("li", with_code(as_sentence(assumption))) for assumption in assumed)
    return section("assumed", "What was assumed", element("ul", *items))
