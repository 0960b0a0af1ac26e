"""Pieces of HTML as values. Text is escaped unless it is already `Html`, so no name from a user can become markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

VOID = ("meta", "link", "br")


class Html(str):
    """Markup that is safe to put into a page."""


def element(tag: str, /, *children: object, **attributes: object) -> Html:
    """One element; `class_` is written `class`, other underscores become hyphens, None leaves an attribute out.

    >>> print(element("p", "a < b", class_="note"))
    <p class="note">a &lt; b</p>
    """
    named = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items() if value is not None}
    opened = "".join(f' {key}="{escape(str(value))}"' for key, value in named.items())
    if tag in VOID:
        return Html(f"<{tag}{opened}>")
    return Html(f"<{tag}{opened}>{join(children)}</{tag}>")


def join(children: Iterable[object], between: str = "") -> Html:
    """Children one after another, each escaped unless it is Html; None is nothing."""
    return Html(between.join(c if isinstance(c, Html) else escape(str(c)) for c in children if c is not None))


def table(headers: Sequence[object], rows: Iterable[Sequence[object]], **attributes: object) -> Html:
    """A table that scrolls inside its box when it is wider than the page."""
    head = element("tr", *(element("th", header, scope="col") for header in headers))
    body = (element("tr", *(element("td", cell) for cell in row)) for row in rows)
    whole = element("table", element("thead", head), element("tbody", *body), **attributes)
    return element("div", whole, class_="scroll", tabindex="0", role="region", aria_label="table")


def details(summary: object, *children: object) -> Html:
    """A part that opens on demand, without a script."""
    return element("details", element("summary", summary), *children)


def figure(key: str, title: str, panels: Sequence[Html], caption: object, data: Html, *, columns: int = 1) -> Html:
    """A figure: the title states the finding, the caption says what is drawn, the data table opens below.

    `columns` is how many panels stand side by side on a wide screen.
    """
    return element(
        "figure",
        element("h3", title),
        element("div", *panels, class_=f"panels across-{columns}"),
        element("figcaption", caption),
        details("The numbers of this figure", data),
        id=key,
    )


def section(key: str, title: str, *children: object) -> Html:
    """A section with its heading."""
    return element("section", element("h2", title), *children, id=key)
