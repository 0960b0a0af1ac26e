"""One HTML file that needs nothing else: style and script inside, and a policy that lets nothing in from outside."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from foretoken.reports.elements import Html, element


def document(
    title: str, kicker: str, description: str, parts: Sequence[Html | None], *, rebuild: str, styles: str = ""
) -> str:
    """The page as text: a heading, the parts, and at its foot the command that `rebuild`s it; equal input, equal text.

    `description` is one sentence for search and previews; `styles` is CSS beside the page's own.
    """
    heading = element("header", element("p", kicker, class_="kicker"), element("h1", title))
    script = element("script", Html(_asset("page.js")))
    body = element("body", heading, element("main", *parts), _footer(rebuild), script)
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
    again = ["Rebuild it with ", element("code", rebuild), "."] if rebuild else []
    return element("footer", element("p", made, " ", *again))


def _script_hash() -> str:
    """The script's hash as the policy names it."""
    digest = hashlib.sha256(_asset("page.js").encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


@cache
def _asset(name: str) -> str:
    return files("foretoken.reports").joinpath(name).read_text(encoding="utf-8")
