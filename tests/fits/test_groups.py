"""Columns that no law reads: what they tell apart, and what was tried at one size and length."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import foretoken as ft

SIZES = np.repeat([1e7, 3e7, 1e8, 3e8, 1e9], 4)
TOKENS = SIZES * np.tile([5.0, 20.0, 80.0, 200.0], 5)


def runs(seed: int = 0, spread: float = 0.003) -> pd.DataFrame:
    noise = np.exp(spread * np.random.default_rng(seed).standard_normal(20))
    loss = (1.7 + 400 / SIZES**0.34 + 410 / TOKENS**0.28) * noise
    return pd.DataFrame({"params": SIZES, "tokens": TOKENS, "loss": loss})


def codes(frame: pd.DataFrame) -> list[str]:
    return [check.code for check in ft.fit(frame, "chinchilla", draws=50).checks]


def test_a_column_that_tells_two_kinds_of_runs_apart_is_named_with_the_where_that_keeps_one() -> None:
    both = pd.concat([runs(0).assign(dataset="c4"), runs(1).assign(dataset="rw", loss=runs(1)["loss"] * 1.08)])
    (told,) = [check for check in ft.fit(both, "chinchilla", draws=50).checks if check.code == "sets_apart"]
    assert "`dataset`" in told.evidence
    assert told.cure.endswith("--where dataset=c4")


@pytest.mark.parametrize("seed", range(4))
def test_words_that_mean_nothing_to_the_loss_are_not_named(seed: int) -> None:
    frame = runs(seed).assign(
        host=np.random.default_rng(seed).choice(["a", "b", "c"], 20),
        size=[f"{n:.0e}" for n in SIZES],
        length=np.tile(["s", "m", "l", "x"], 5),
    )
    assert "sets_apart" not in codes(frame)


def test_settings_that_were_tried_at_each_size_are_named_and_seeds_are_none() -> None:
    grid = pd.concat([runs(k).assign(lr=lr, seed=k) for k, lr in enumerate((1e-4, 3e-4, 1e-3))])
    (told,) = [check for check in ft.fit(grid, "chinchilla", draws=50).checks if check.code == "sweep_not_reduced"]
    assert told.evidence == "20 pairs of N and D were trained with several settings (lr)"
    assert "sweep_not_reduced" not in codes(grid.drop(columns="lr"))
