"""The first screen of a page: one sentence, the facts beside it, and what to read with care."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from foretoken.fits.result import Check
from foretoken.reports.html import Html, as_sentence, element, section


@dataclass(frozen=True, kw_only=True)
class Page:
    """What one page holds, before it becomes a document."""

    title: str
    kicker: str
    sentence: str
    """The finding."""
    parts: Sequence[Html | None]
    styles: str = ""


def lead(sentence: str, facts: Iterable[tuple[str, str, str]], checks: Iterable[Check] = ()) -> Html:
    """The sentence, its doubts, and facts as (name, value, small words)."""
    serious = [check for check in checks if not check.is_note]
    doubt = [element("p", "Read with care: ", " ".join(as_sentence(c.evidence) for c in serious), class_="doubt")]
    boxes = [
        element("div", element("dt", name), element("dd", value, element("small", small) if small else None))
        for name, value, small in facts
    ]
    return element(
        "section",
        element("p", sentence, class_="sentence"),
        *(doubt if serious else []),
        element("dl", *boxes),
        id="verdict",
    )


def assumed_section(assumed: Sequence[str]) -> Html | None:
    """What was assumed, in sentences; None where nothing was."""
    if not assumed:
        return None
    return section("assumed", "What was assumed", element("ul", *(element("li", as_sentence(one)) for one in assumed)))
