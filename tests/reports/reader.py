"""Reads a page as a browser would, for the tests."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser

LINKS = {"href", "src", "srcset", "action", "data", "poster", "xlink:href", "background", "cite"}
VOID = {"meta", "link", "br", "path", "use", "circle"}


class Reader(HTMLParser):
    """Collects links, headings, ids and text, and checks that every element is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.headings: list[str] = []
        self.words: list[str] = []
        self.tags: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [str(value) for name, value in attrs if name in LINKS]
        self.ids += [str(value) for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [str(value) for name, value in attrs if name in LINKS]
        self.ids += [str(value) for name, value in attrs if name == "id"]

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split()).replace("\u202f", " ")


def cells(text: str) -> list[list[str]]:
    """The body rows of all tables of a page, each cell as a reader sees it."""
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", text, flags=re.DOTALL)
    found = [re.findall(r"<td[^>]*>(.*?)</td>", row, flags=re.DOTALL) for row in rows]
    return [[_plain(cell) for cell in row] for row in found if row]


def headings(text: str) -> list[str]:
    """The column headings of all tables of a page."""
    return [_plain(cell) for cell in re.findall(r"<th [^>]*>(.*?)</th>", text, flags=re.DOTALL)]


def _plain(cell: str) -> str:
    return unescape(re.sub(r"<[^>]+>", "", cell)).replace("\u202f", " ")


def read_number(words: str) -> float:
    """A number as a page writes it, read back: real minus signs, powers of ten as superscripts."""
    words = words.replace("−", "-").replace("\u202f", "")
    raised = {mark: digit for mark, digit in zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-", strict=True)}
    body, _, tail = words.rpartition("10")
    if not tail or not set(tail) <= set(raised):
        return float(words)
    return float({"": "1", "-": "-1"}.get(body, body.rstrip("·"))) * 10.0 ** int("".join(map(raised.get, tail)))
