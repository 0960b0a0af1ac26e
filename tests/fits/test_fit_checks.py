from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from foretoken.fits import fit
from foretoken.runs.table import RunTable

Ladder = Callable[..., RunTable]


def codes(table: RunTable) -> set[str]:
    return {check.code for check in fit(table, draws=50).checks}


def test_a_clean_table_has_no_doubt(ladder: Ladder) -> None:
    assert codes(ladder(noise=0.003)) <= {"irreducible_loss_not_identified", "starts_disagree"}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda f: f.head(9), "few_runs"),
        (lambda f: f.rename(columns={"params_total": "params"}), "params_undeclared"),
        (lambda f: f.assign(parent=f["group"]), "shared_trajectories"),
        (lambda f: f.assign(unique_tokens=f["tokens"] / 2), "repeated_tokens"),
        (lambda f: f.assign(status=["diverged"] + ["finished"] * (len(f) - 1)), "diverged_runs"),
        (lambda f: f.assign(tokens=f["params_total"] ** 1.1 * (1 + 0.5 * (f.index % 2))), "nearly_collinear"),
    ],
)
def test_each_doubt_is_named(ladder: Ladder, change: Callable[..., object], code: str) -> None:
    table = ladder(noise=0.003)
    frame = change(table.frame)
    assert code in codes(replace(table, frame=frame))  # type: ignore[arg-type]
    assert code not in codes(table)


def test_residuals_that_follow_compute_are_a_doubt(ladder: Ladder) -> None:
    table = ladder(noise=0.001, budgets=8)
    assert "residual_trend" not in codes(table)
    compute = np.log(table.frame["flops"] / table.frame["flops"].min())
    rising = table.frame["loss"] * np.exp(0.03 * compute**2)
    assert "residual_trend" in codes(replace(table, frame=table.frame.assign(loss=rising)))
