"""The first screen of a result's page as a piece of a notebook: it needs no script, and brings its own style."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from foretoken.reports import find_page
from foretoken.reports.html import Html, element, table
from foretoken.results import Result

MOST_ROWS, MOST_COLUMNS = 10, 12
"""Of a frame that stands where a result has no page and no text."""


def first_screen(result: Result) -> str:
    """Heading and first section of its page; the text of the command line, or a frame, for a result without one.

    >>> from foretoken.plans import plan
    >>> first_screen(plan("5.76e23", law="besiroglu_2024")).startswith('<div class="foretoken"><style>')
    True
    """
    page = find_page(result)
    if page is None:
        name = type(result).__name__
        return _piece(name, Html(""), _text(result))
    first = next(iter(page.parts))
    # Of the many first screens in one notebook none may have an id, which would be there twice.
    return _piece(page.title, page.kicker, Html(str(first or "").replace(' id="verdict"', "")))


def _piece(title: str, kicker: str, content: Html) -> str:
    small = element("p", kicker, class_="kicker") if kicker else None
    heading = element("header", small, element("h4", title))
    return element("div", element("style", Html(_style())), heading, content, class_="foretoken")


def _text(result: Result) -> Html:
    text = result.summary()
    if text != repr(result):
        return element("pre", text)
    frame = result.to_frame()
    shown = frame.iloc[:MOST_ROWS, :MOST_COLUMNS]
    rows = [[_cell(value) for value in row] for row in shown.itertuples(index=False, name=None)]
    more = f"{len(frame)} rows, {len(frame.columns)} columns" if frame.size > shown.size else None
    return element("section", table(list(shown.columns), rows), element("p", more, class_="kicker") if more else None)


def _cell(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)[:80]


@cache
def _style() -> str:
    return files("foretoken.reports").joinpath("first_screen.css").read_text(encoding="utf-8")
