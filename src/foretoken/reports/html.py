"""Pieces of HTML as values, checks in words, and the document: one file that needs nothing else.

Text is escaped unless it is already `Html`, so no name from a user can become markup. Style and script stand inside the
file, and its policy lets nothing in from outside.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files

from foretoken.escapes import for_html
from foretoken.fits.check import Check
from foretoken.reports.paths import without_folders

VOID = ("meta", "link", "br")


class Html(str):
    """Markup that is safe to put into a page."""


def element(tag: str, /, *children: object, **attributes: str | float | None) -> Html:
    """One element; `class_` is written `class`, other underscores become hyphens, None leaves an attribute out.

    >>> print(element("p", "a < b", class_="note"))
    <p class="note">a &lt; b</p>
    """
    # `class_` is Python's way round its keyword; None is how a caller leaves an attribute out.
    named = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items() if value is not None}
    opened = "".join(f' {key}="{for_html(str(value))}"' for key, value in named.items())
    if tag in VOID:
        return Html(f"<{tag}{opened}>")
    return Html(f"<{tag}{opened}>{join(children)}</{tag}>")


def join(children: Iterable[object], between: str = "") -> Html:
    """Children one after another, each escaped unless it is Html; None is nothing."""
    return Html(between.join(c if isinstance(c, Html) else for_html(str(c)) for c in children if c is not None))


def table(headers: Sequence[object], rows: Iterable[Sequence[object]], **attributes: str | float | None) -> Html:
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


def document(
    title: str, kicker: str, description: str, parts: Iterable[Html | None], *, rebuild: str, styles: str = ""
) -> str:
    """The page as text: a heading, the parts, and at its foot the command that `rebuild`s it; equal input, equal text.

    `description` is one sentence for search and previews; `styles` is CSS beside the page's own.
    """
    title = without_folders(title)
    heading = element("header", element("p", kicker, class_="kicker"), element("h1", title))
    script = element("script", Html(_asset("page.js")))
    body = element("body", heading, element("main", *parts), _footer(rebuild), script)
    # The script comes last in the body: it finds the whole page, and a page without scripts has lost nothing.
    head = _head(f"{title}: {kicker}", description, styles)
    return "<!doctype html>\n" + element("html", head, body, lang="en") + "\n"


def _head(title: str, description: str, styles: str) -> Html:
    """Title, style, and a policy that lets nothing in from outside and only our script run."""
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src '{_script_hash()}'"
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=f"{policy}; base-uri 'none'; form-action 'none'"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="generator", content="foretoken"),
        element("meta", name="description", content=description),
        element("title", title),
        element("link", rel="icon", href="data:,"),
        element("style", Html(_asset("page.css") + styles)),
    )


def _footer(rebuild: str) -> Html:
    made = "Made by foretoken. This file needs no network."
    again = ["Rebuild it with ", element("code", without_folders(rebuild)), "."] if rebuild else []
    return element("footer", element("p", made, " ", *again))


def _script_hash() -> str:
    """The script's hash as the policy names it."""
    # A policy that names the hash runs this script alone: text of a user that became markup would still not run.
    digest = hashlib.sha256(_asset("page.js").encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


@cache
def _asset(name: str) -> str:
    return files("foretoken.reports").joinpath(name).read_text(encoding="utf-8")


SEVERITIES = {"note": "Note", "doubt": "Doubt", "refusal": "Refused"}


def checks_list(checks: list[Check]) -> Html:
    """Each check as severity, evidence, cure and code."""
    if not checks:
        return element("p", "No check raised a doubt.")
    return element("ul", *(_check_item(check) for check in checks), class_="checks")


def _check_item(check: Check) -> Html:
    severity = element("strong", SEVERITIES.get(check.severity, check.severity))
    cure = element("em", "Cure: ", with_code(as_sentence(check.cure, capital=False)))
    return element(
        "li",
        severity,
        ". ",
        with_code(as_sentence(check.evidence)),
        " ",
        cure,
        " ",
        element("code", check.code),
        class_=check.severity,
    )


def with_code(words: str) -> Html:
    """Words in which what stands between backticks is set as code.

    >>> print(with_code("`params` is < N"))
    <code>params</code> is &lt; N
    """
    parts = words.split("`")
    if len(parts) % 2 == 0:
        # A backtick without its partner is a letter of somebody's name.
        return join([words])
    return join(element("code", part) if i % 2 else part for i, part in enumerate(parts))


def as_sentence(words: str, *, capital: bool = True) -> str:
    """Words with a capital at their start and a full stop at their end; an id or a name keeps its small letter.

    >>> as_sentence("8 runs"), as_sentence("add runs", capital=False), as_sentence("kaplan_2020 is read")
    ('8 runs.', 'add runs.', 'kaplan_2020 is read.')
    >>> as_sentence("wic, acc: every score is 0"), as_sentence("c4: one run is far from the law")
    ('wic, acc: every score is 0.', 'c4: one run is far from the law.')
    """
    # `kaplan_2020 is read` begins with an id and `wic, acc: ...` with names, which a capital would change.
    first = words.partition(" ")[0]
    named = "_" in first or first.endswith((",", ":"))
    begun = words[:1].upper() + words[1:] if capital and not named else words
    return begun if begun.endswith((".", "!", "?")) else begun + "."
