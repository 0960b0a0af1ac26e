"""`foretoken versus` as it is typed."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from foretoken.errors import ForetokenError

from ..decisions.pairs import many, table
from ..fuzz.verbs import foretoken, strict_json


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables of two recipes and of many."""
    home = tmp_path_factory.mktemp("versus")
    table().rename(columns={"loss": "val"}).to_csv(home / "ours.csv", index=False)
    table(scale=1.05).rename(columns={"loss": "val"}).to_csv(home / "theirs.csv", index=False)
    pd.concat([table().assign(data="a"), table(scale=1.05).assign(data="b")]).to_csv(home / "both.csv", index=False)
    many().to_csv(home / "many.csv", index=False)
    return home


def test_two_tables(home: Path) -> None:
    asked = ("versus", home / "ours.csv", home / "theirs.csv", "--map", "loss=val", "--compute", "1e20")
    told = strict_json(foretoken(*asked, "--json"))
    assert {"difference", "low", "high", "level", "p_first", "crossing", "compute_saved"} <= set(told)
    assert told["p_first"] > 0.5
    text = foretoken(*asked, "--html", home / "page.html")
    assert "ours" in text.splitlines()[0]
    page = (home / "page.html").read_text()
    assert "ours or theirs" in page
    assert 'id="difference"' in page
    assert 'id="probability"' in page


def test_one_table(home: Path) -> None:
    told = strict_json(foretoken("versus", home / "both.csv", "--by", "data", "--compute", "1e20", "--json"))
    assert told["first"] == "a"
    with pytest.raises(ForetokenError, match="did you mean"):
        foretoken("versus", home / "both.csv", "--by", "dat", "--compute", "1e20")


def test_many_recipes(home: Path) -> None:
    told = strict_json(foretoken("versus", home / "many.csv", "--by", "recipe", "--json"))
    assert told["recipes"][0] == "r0"
    text = foretoken("versus", home / "many.csv", "--by", "recipe", "--html", home / "many.html")
    assert "pairs of recipes" in text.splitlines()[0]
    assert 'id="reliability"' in (home / "many.html").read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "a decision is made at a compute"),
        (("--compute", "0"), "above 0"),
        (("--compute", "many"), "compute"),
        (("--compute", "1e20", "--first", "x", "--second", "x"), "itself"),
        (("--compute", "1e20", "--score", "accuracy", "--better", "higher"), "by their loss"),
    ],
)
def test_bad_input_is_told(home: Path, options: tuple[str, ...], said: str) -> None:
    with pytest.raises(ForetokenError, match=said):
        foretoken("versus", home / "ours.csv", home / "theirs.csv", "--map", "loss=val", *options)


def test_a_file_that_is_not_there(home: Path) -> None:
    with pytest.raises(ForetokenError, match=r"nowhere\.csv"):
        foretoken("versus", home / "ours.csv", home / "nowhere.csv", "--map", "loss=val", "--compute", "1e20")
