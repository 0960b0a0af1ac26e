from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from foretoken.checks.curves import absent_minima, drifting_grid, off_centre_grid
from foretoken.checks.table_view import view_table
from foretoken.runs.table import RunTable


def parabolas(offsets: list[float], at_edge: int = 0) -> RunTable:
    """IsoFLOP curves whose minimum lies `offset` of half the range from the middle size, in order of compute."""
    rows = []
    for k, offset in enumerate(offsets):
        flops, place = 1e18 * 4.0**k, np.linspace(-1, 1, 7)
        params = np.sqrt(flops / 120) * np.exp(place)
        best = -1.5 if k < at_edge else offset
        for N, x in zip(params, place, strict=True):
            rows.append((f"b{k}", N, flops / 6 / N, flops, 3.0 - 0.1 * k + 0.05 * (x - best) ** 2))
    return RunTable(pd.DataFrame(rows, columns=["group", "params_total", "tokens", "flops", "loss"]), "a test")


@pytest.mark.parametrize(("offset", "fires"), [(0.0, False), (0.2, False), (0.6, True), (-0.6, True)])
def test_minima_to_one_side_of_their_sizes_are_seen(offset: float, fires: bool) -> None:
    found = list(off_centre_grid(view_table(parabolas([offset] * 4))))
    assert [check.code for check in found] == ["off_centre_grid"] * fires
    if fires:
        assert ("larger" if offset > 0 else "smaller") in found[0].cure


@pytest.mark.parametrize(("offsets", "fires"), [([0.0] * 4, False), ([-0.5, -0.2, 0.2, 0.5], True)])
def test_minima_that_wander_with_compute_are_seen(offsets: list[float], fires: bool) -> None:
    found = list(drifting_grid(view_table(parabolas(offsets))))
    assert [check.code for check in found] == ["drifting_grid"] * fires


@pytest.mark.parametrize(("at_edge", "severity"), [(0, None), (1, "note"), (3, "doubt")])
def test_a_minimum_at_an_edge_is_a_note_once_and_a_doubt_often(at_edge: int, severity: str | None) -> None:
    found = [check for check in absent_minima(view_table(parabolas([0.0] * 4, at_edge))) if "edge" in check.code]
    assert [check.severity for check in found] == ([severity] if severity else [])
