"""Cells such as 51 % are the fractions that they are, in long and in wide tables."""

from __future__ import annotations

from pathlib import Path

import pytest

import foretoken as ft
from foretoken.errors import TableError

SIZES = (1e8, 1e9, 1e10, 1e11)
SCORES = (51.0, 55.5, 62.0, 70.25)


def test_percent_cells_in_a_long_table(tmp_path: Path) -> None:
    rows = [f"{size:g},rte,acc,{score:g}%" for size, score in zip(SIZES, SCORES, strict=True)]
    (tmp_path / "long.csv").write_text("\n".join(["params,task,metric,score", *rows]))
    assert ft.read_scores(tmp_path / "long.csv").frame["score"].tolist() == pytest.approx([s / 100 for s in SCORES])


def test_percent_cells_in_a_wide_table(tmp_path: Path) -> None:
    rows = [f"{size:g},{score:g} %" for size, score in zip(SIZES, SCORES, strict=True)]
    (tmp_path / "wide.csv").write_text("\n".join(["params,acc_rte", *rows]))
    assert ft.read_scores(tmp_path / "wide.csv").frame["score"].tolist() == pytest.approx([s / 100 for s in SCORES])


def test_a_percentage_is_no_size(tmp_path: Path) -> None:
    (tmp_path / "sizes.csv").write_text("params,acc_rte\n51%,0.5\n60%,0.6\n70%,0.7\n")
    with pytest.raises(TableError):
        ft.read_scores(tmp_path / "sizes.csv")
