"""docs/claims.md says what its checks give: each command and line of Python is run, each figure in bold held to it."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .fuzz.verbs import foretoken, strict_json

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "claims.md").read_text()
VERDICTS = ("holds", "holds with a condition", "does not hold", "cannot be checked here")
DATA = "DATA/"
"""How the page names the folder of public tables."""


@dataclass(frozen=True)
class Claim:
    """One row of the page."""

    said: str
    check: str
    gives: str
    verdict: str

    @property
    def spans(self) -> list[str]:
        """What stands between backticks in the check: the command or line of Python, then keys."""
        return re.findall(r"`([^`]+)`", self.check)

    @property
    def figures(self) -> list[str]:
        """What the page says that the check gives."""
        return re.findall(r"\*\*([^*]+)\*\*", self.gives)


def claims() -> list[Claim]:
    rows = re.findall(r"^\| (?!claim \||---)(.*) \|$", PAGE, re.M)
    return [Claim(*(cell.strip() for cell in re.split(r" \| ", row))) for row in rows]


CLAIMS = claims()


def agrees(printed: str, value: object) -> bool:
    """Whether a printed figure is the value at its precision: a count is itself, decimals and whole numbers below 1,000
    are rounded to what is printed, and of larger ones the zeros at the end are no digits beyond the third."""
    if value is None or isinstance(value, bool | str):
        return printed == {True: "yes", False: "no", None: "none"}.get(value, value)  # type: ignore[call-overload]
    if printed in ("yes", "no", "none"):
        return False
    plain, number = printed.replace(",", ""), float(value)  # type: ignore[arg-type]
    mantissa = plain.partition("e")[0].lstrip("-")
    if isinstance(value, int) and plain.lstrip("-").isdigit():
        return int(plain) == value
    if "." in plain and "e" not in plain:
        return f"{number:.{len(mantissa.partition('.')[2])}f}" == plain
    if "e" not in plain and len(mantissa) <= 3:
        return round(number) == int(plain)
    digits = len(mantissa.replace(".", "")) if "e" in plain else max(3, len(mantissa.rstrip("0")))
    return float(f"{number:.{digits}g}") == float(plain)


def at(value: Any, path: str) -> Any:
    """What a dotted key names; a row of a list is named by its place, or by its id, name or task."""
    for part in path.split("."):
        if isinstance(value, list) and not part.lstrip("-").isdigit():
            (value,) = (row for row in value if part in (row.get("id"), row.get("name"), row.get("task")))
        else:
            value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def flat(value: Any) -> Iterator[Any]:
    """The numbers and words of a result, one after another."""
    if isinstance(value, list | tuple | np.ndarray):
        for part in value:
            yield from flat(part)
    else:
        yield value


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """What the page's own Python defines."""
    found: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S):
        exec(compile(block, "docs/claims.md", "exec"), found)
    return found


@pytest.fixture
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A learned tokenizer is written where the command is given."""
    monkeypatch.chdir(tmp_path)


def given_by(claim: Claim, names: dict[str, Any]) -> list[Any]:
    """What the check of a claim gives, in the order of the page's figures."""
    first, *keys = claim.spans
    if first.startswith("foretoken "):
        printed = strict_json(foretoken(*shlex.split(first)[1:], "--json"))
        return [one for key in keys for one in flat(at(printed, key))]
    return list(flat(eval(first, names)))


CHECKED = [claim for claim in CLAIMS if claim.spans]


@pytest.mark.parametrize("claim", CHECKED, ids=lambda claim: claim.said[:40])
def test_a_check_gives_what_the_page_says(
    claim: Claim, names: dict[str, Any], request: pytest.FixtureRequest, in_a_folder_of_its_own: None
) -> None:
    if claim.check.startswith("`foretoken tokenizer"):
        pytest.importorskip("tokenizers", reason="a tokenizer is learned")
    if DATA in claim.check:
        folder = request.getfixturevalue("scaling_data")
        claim = Claim(claim.said, claim.check.replace(DATA, f"{folder}/"), claim.gives, claim.verdict)
    given = given_by(claim, names)
    assert len(given) == len(claim.figures), (given, claim.figures)
    for printed, value in zip(claim.figures, given, strict=True):
        assert agrees(printed, value), f"the page says {printed}, the check gives {value}"


@pytest.mark.parametrize("claim", [claim for claim in CLAIMS if not claim.spans], ids=lambda claim: claim.said[:40])
def test_a_claim_without_a_check_says_why_or_where_it_was_measured(claim: Claim) -> None:
    measured = re.search(r"\(journal\.md#([\w-]+)\)|\(([\w.]+\.md)\)", claim.check)
    if measured is None:
        assert claim.verdict.startswith("cannot be checked here:"), claim
        assert not claim.figures
        return
    text = (DOCS / (measured[2] or "journal.md")).read_text()
    if measured[1]:
        sections = {slug(part.splitlines()[0]): part for part in text.split("\n## ")[1:]}
        text = sections[measured[1]]
    assert claim.figures
    for printed in claim.figures:
        assert re.search(rf"(?<![\d.]){re.escape(printed)}(?![\d]|\.\d)", text), (printed, claim.check)


def slug(heading: str) -> str:
    """A heading as links name it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def verdict_of(claim: Claim) -> str:
    """The verdict alone, without its condition or reason."""
    return next((word for word in sorted(VERDICTS, key=len, reverse=True) if claim.verdict.startswith(word)), "")


def test_every_claim_has_a_verdict_and_the_page_counts_them() -> None:
    assert len(CLAIMS) > 50
    assert len({claim.said for claim in CLAIMS}) == len(CLAIMS)
    counted = Counter(map(verdict_of, CLAIMS))
    assert set(counted) == set(VERDICTS), [claim for claim in CLAIMS if not verdict_of(claim)]
    assert ", ".join(f"{word} ({counted[word]})" for word in VERDICTS) in PAGE


@pytest.mark.parametrize(
    ("printed", "value", "same"),
    [
        ("890,000", 890_313.4, True),
        ("40", 40, True),
        ("40", 44, False),
        ("10", 10.4, True),
        ("10", 14.9, False),
        ("10", 9.4, False),
        ("-20", -19.6, True),
        ("500", 497.0, False),
        ("2,000", 2004.0, True),
        ("2,000", 2040.0, False),
        ("891,000", 890_313.4, False),
        ("46.5", 46.53, True),
        ("46.4", 46.53, False),
        ("-1.4", -1.387, True),
        ("0.048", 0.0476, True),
        ("0.000", 6.6e-5, True),
        ("0.001", 6.6e-5, False),
        ("2.30e22", 2.3e22, True),
        ("2.31e22", 2.3e22, False),
        ("0", 0.0, True),
        ("yes", True, True),
        ("no", True, False),
        ("none", None, True),
        ("none", 0.0, False),
        ("flat", "steady", False),
    ],
)
def test_a_figure_agrees_to_the_digits_that_are_printed(printed: str, value: object, same: bool) -> None:
    assert agrees(printed, value) is same
