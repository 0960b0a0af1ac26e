"""The papers behind laws and coefficients, as text and as BibTeX."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path


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
