"""Sizes that are no amounts are refused wherever they stand, and not only on the axis."""

from __future__ import annotations

import pandas as pd
import pytest

import foretoken as ft
from foretoken.errors import TableError


@pytest.mark.parametrize("name", ["params", "tokens", "flops"])
@pytest.mark.parametrize("value", [0.0, -1e9, float("inf")])
def test_a_size_that_is_no_amount_is_refused(name: str, value: float) -> None:
    sizes = {"params": [1e8, 1e9, 1e10, 1e11], "tokens": [2e9, 2e10, 2e11, 2e12], "flops": [1e18, 1e20, 1e22, 1e24]}
    frame = pd.DataFrame({**sizes, "acc_rte": [0.5, 0.55, 0.6, 0.65]})
    frame.loc[2, name] = value
    with pytest.raises(TableError) as refused:
        ft.read_scores(frame)
    assert name in str(refused.value)
