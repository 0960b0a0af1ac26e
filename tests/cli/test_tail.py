"""The verbs `tail` and `count`."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ..fuzz.verbs import foretoken, silent, strict_json


@pytest.fixture
def table(tmp_path: Path) -> Path:
    frame = pd.DataFrame({"params": np.repeat([1e7, 1e8, 1e9, 1e10], 4), "count": np.tile([0, 10, 100, 1000], 4)})
    path = tmp_path / "answers.csv"
    frame.assign(n=300, score=np.linspace(0.05, 0.9, 16)).to_csv(path, index=False)
    return path


def test_the_price_is_told_with_a_table_of_decades(table: Path) -> None:
    told = foretoken("tail", table)
    assert "ten times fewer mentions" in told
    assert "never" in told
    assert "from 1.00k" in told
    assert "10.0B" in told


def test_json_has_no_null_without_its_reason(table: Path) -> None:
    values = strict_json(foretoken("tail", table, "--json"))
    assert {"tasks", "level", "checks", "assumed", "source"} == set(values)
    assert len(values["tasks"][0]["models"]) == 4
    assert not list(silent(values))
    one = strict_json(foretoken("tail", table, "--where", "params=1e8", "--json"))
    assert one["tasks"][0]["price_reason"] == "all models have one size"
    assert not list(silent(one))


@pytest.mark.parametrize("words", [("--ceiling", "3"), ("--chance", "1"), ("--unit", "raw"), ("--level", "1")])
def test_what_cannot_be_is_refused(table: Path, words: tuple[str, ...]) -> None:
    with pytest.raises(Exception, match=words[0] if words[0] != "--level" else "level"):
        foretoken("tail", table, *words)


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    pytest.importorskip("ahocorasick_rs")
    pytest.importorskip("pydivsufsort")
    (tmp_path / "texts").mkdir()
    for number in range(20):
        (tmp_path / "texts" / f"{number}.txt").write_text(f"{number} bears met {number**2} foxes. " * (number + 1))
    return tmp_path / "texts"


def test_phrases_are_counted_in_a_pass_and_by_an_index(texts: Path, tmp_path: Path) -> None:
    asked = tmp_path / "facts.csv"
    asked.write_text("phrase,other\nbears met,49 foxes\n4,\nwolves,bears\n")
    counts = tmp_path / "counts.csv"
    told = strict_json(foretoken("count", texts, "--phrases", asked, "--words", "-o", counts, "--json"))
    found = {one["phrase"]: (one["count"], one["documents"]) for one in told["phrases"]}
    assert found == {"bears met": (210, 20), "4": (8, 2), "wolves": (0, 0), "49 foxes": (8, 1), "bears": (210, 20)}
    assert [one["documents"] for one in told["pairs"]] == [1, 0]
    assert pd.read_csv(counts)["count"].tolist() == [one["count"] for one in told["phrases"]]
    index = tmp_path / "index"
    again = strict_json(foretoken("count", texts, "--phrases", asked, "--words", "--index", index, "--json"))
    assert again | {"source": ""} == told | {"source": ""}
    assert "20 texts" in foretoken("count", index, "--phrase", "bears")


def test_an_index_is_made_without_a_phrase(texts: Path, tmp_path: Path) -> None:
    assert "20 texts" in foretoken("count", texts, "--index", tmp_path / "index")
    assert strict_json(foretoken("count", tmp_path / "index", "--phrase", "bears", "--json"))["documents"] == 20
    with pytest.raises(Exception, match="is not a folder"):
        foretoken("count", texts, "--index", texts / "0.txt")


@pytest.mark.parametrize(
    ("name", "content"),
    [("cut.txt.gz", gzip.compress(b"bears met")[:-9]), ("no.txt.zst", b"bears")],
    ids=["cut", "no zst"],
)
def test_a_packed_text_that_is_damaged_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    for package in ("ahocorasick_rs", "zstandard"):
        pytest.importorskip(package)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Exception, match=f"cannot read .*{name}"):
        foretoken("count", tmp_path / name, "--phrase", "bears")


def test_a_table_of_phrases_needs_its_column(texts: Path, tmp_path: Path) -> None:
    (tmp_path / "facts.csv").write_text("fact\nbears\n")
    with pytest.raises(Exception, match="no column `phrase`"):
        foretoken("count", texts, "--phrases", tmp_path / "facts.csv")
