from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ..fuzz.verbs import foretoken, strict_json


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    sizes = np.geomspace(1e8, 1e11, 10)
    frame = pd.DataFrame({"params": sizes, "tokens": 3e11, "acc_copa": 55 + 3 * np.arange(10), "err_rte": 50.0})
    path = tmp_path / "scores.csv"
    frame.to_csv(path, index=False)
    return path


def test_the_verdicts_are_printed_with_what_was_assumed(csv: Path) -> None:
    told = foretoken("scores", csv, "--level-of", "90")
    assert "copa, acc" in told
    assert "2 columns read as scores of tasks" in told
    assert "scores are in percent" in told


def test_json_holds_every_curve(csv: Path) -> None:
    told = strict_json(foretoken("scores", csv, "--map", "score=acc_copa", "--human", "94", "--json"))
    (curve,) = told["curves"]
    assert (curve["task"], curve["metric"], curve["human"]) == ("acc_copa", "acc", 0.94)
    assert curve["level"]["name"] == "human"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--better", "sideways"), "--better"),
        (("--level-of", "high"), "--level-of"),
        (("--human", "-3"), "--human"),
        (("--group", "family"), "no column 'family'"),
        (("--unit", "fraction"), "outside their bounds"),
    ],
)
def test_what_cannot_be_is_refused(csv: Path, words: tuple[str, ...], told: str) -> None:
    with pytest.raises(Exception, match=told):
        foretoken("scores", csv, *words)
