"""What to cite for a law or for published coefficients, as text and as BibTeX."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from foretoken.arguments import nearest
from foretoken.errors import ForetokenError
from foretoken.laws.published import PUBLISHED


@dataclass(frozen=True, kw_only=True)
class Work:
    """One paper."""

    key: str
    authors: tuple[str, ...]
    """"Family, Given"; the last may be "others"."""
    title: str
    year: int
    arxiv: str

    @property
    def text(self) -> str:
        """One line for people."""
        families = [name.split(",")[0].strip("{}") for name in self.authors]
        many = families[-1] == "others" or len(families) > 2
        who = f"{families[0]} et al." if many else " and ".join(families)
        return f"{who} ({self.year}). {self.title}. arXiv:{self.arxiv}"

    @property
    def bibtex(self) -> str:
        """One entry for a bibliography."""
        return (
            f"@misc{{{self.key},\n"
            f"  author = {{{' and '.join(self.authors)}}},\n"
            f"  title = {{{{{self.title}}}}},\n"
            f"  year = {{{self.year}}},\n"
            f"  eprint = {{{self.arxiv}}},\n"
            "  archivePrefix = {arXiv},\n"
            "}"
        )


@cache
def works() -> dict[str, Work]:
    """Every paper by its key."""
    entries = tomllib.loads(Path(__file__).with_name("works.toml").read_text(encoding="utf-8"))
    return {
        key: Work(
            key=key,
            authors=tuple(entry["authors"]),
            title=entry["title"],
            year=entry["year"],
            arxiv=entry["arxiv"],
        )
        for key, entry in entries.items()
    }


class Citation(NamedTuple):
    """A source, as text and as BibTeX."""

    text: str
    bibtex: str

    def __str__(self) -> str:
        return f"{self.text}\n\n{self.bibtex}"


def cite(name: str) -> Citation:
    """What to cite for a published id, or for a law.

    Raises ForetokenError for an unknown name, with those near it.

    >>> cite("besiroglu_2024").text.splitlines()[0]
    'Besiroglu et al. (2024). Chinchilla Scaling: A replication attempt. arXiv:2404.10102'
    """
    from foretoken.laws import LAWS

    if name in PUBLISHED:
        papers, place = [works()[PUBLISHED[name].work]], f"\n{PUBLISHED[name].source}"
    elif name in LAWS:
        papers, place = of_law(LAWS[name].citation), ""
    else:
        raise unknown(name, [*PUBLISHED, *LAWS])
    return Citation("\n".join(paper.text for paper in papers) + place, "\n\n".join(paper.bibtex for paper in papers))


def of_law(citation: str) -> list[Work]:
    """The papers whose arXiv numbers a law's citation names.

    Raises ForetokenError, code `no_such_work`, where there is none, or where works.toml does not hold one.
    """
    by_number = {work.arxiv: work for work in works().values()}
    numbers = re.findall(r"arXiv[ :](\d{4}\.\d{4,5})", citation)
    missing = [number for number in numbers if number not in by_number]
    if missing or not numbers:
        what = f"arXiv {missing[0]}" if missing else "a paper with an arXiv number"
        raise ForetokenError(
            f"the paper behind this law is not in works.toml: {citation}",
            expected=f"an entry for {what}",
            cure="add it to src/foretoken/laws/works.toml: authors, title, year, arxiv",
            code="no_such_work",
        )
    return [by_number[number] for number in numbers]


def unknown(name: str, known: list[str]) -> ForetokenError:
    """The error for a name that is neither a law nor a published id, with those near it."""
    near = nearest(name, known, most=4) or [other for other in known if other.startswith(name[:4])][:4]
    return ForetokenError(
        "no law and no published coefficients of this name",
        expected=", ".join(near) if near else "a name that `foretoken laws` lists",
        got=repr(name),
        cure="foretoken laws lists them all",
    )
