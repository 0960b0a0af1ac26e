"""What a hostile name says stands in the page as text, and in no place that a browser reads."""

from __future__ import annotations

from html.parser import HTMLParser

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.reports import CorpusFacts, StudyResults, TrainingCost, page_of
from foretoken.runs.table import RunTable

from .mutations import HOSTILE

NAMES = st.lists(st.sampled_from([*(name for name in HOSTILE if len(name) < 1000), "--><!--", "]]>", "&lt;", "a=b "]),
                 min_size=1, max_size=3).map("".join)  # fmt: skip


class Elements(HTMLParser):
    """Tags, and attributes that run or load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.active: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.active += [
            name for name, value in attributes if name.startswith("on") or (value or "").startswith("javascript")
        ]


@pytest.fixture(scope="module")
def plain() -> list[str]:
    """The tags of the page of a harmless study."""
    return Elements(page_of(results("name"))).tags


def results(name: str) -> StudyResults:
    """A study in which everything that is text is this name."""
    labels = {"run": [name] * 2, "group": [name] * 2, "status": "finished", "corpus": name}
    numbers = {"params_total": 1e6, "tokens": [1e7, 2e7], "flops": [6e13, 12e13], "loss": [3.0, 2.9]}
    return StudyResults(
        name=name,
        settings_json={"name": name, "corpus": {"path": name, "column": name}},
        table=RunTable(pd.DataFrame({**labels, **numbers}), name),
        refusal=name,
        corpus=CorpusFacts(source=name, sha256=name),
        cost=TrainingCost(machine=name, seconds=1.0, kwh_source=name),
        commands=[name],
        version=name,
    )


@settings(max_examples=30, derandomize=True, database=None, deadline=None)
@given(name=NAMES)
def test_hostile_names_make_no_element(name: str, plain: list[str]) -> None:
    page = Elements(page_of(results(name)))
    assert set(page.tags) <= set(plain) | {"g", "path", "use", "circle", "defs", "clippath", "rect", "text"}
    assert page.tags.count("script") == plain.count("script") == 1
    assert not page.active
