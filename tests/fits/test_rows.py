from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from foretoken.errors import RefusedError, TableError
from foretoken.fits.fit import fit
from foretoken.fits.rows import clean_rows, off_frontier, refusals
from foretoken.fits.trajectories import with_trajectories
from foretoken.laws import CHINCHILLA, LAWS, POWER
from foretoken.runs.table import RunTable


def table(**columns: object) -> RunTable:
    count = 8
    default = {
        "params_total": np.geomspace(1e4, 1e5, count),
        "tokens": 1e6 * np.array([1, 3, 2, 5, 1, 4, 2, 6]),
        "loss": np.linspace(2, 1.5, count),
    }
    return RunTable(pd.DataFrame({**default, **columns}), "a test")


def test_each_dropped_row_is_counted_under_its_first_reason() -> None:
    loss = np.linspace(2, 1.5, 8)
    loss[0], loss[1] = np.nan, np.inf
    rows = clean_rows(
        table(
            loss=loss,
            tokens=[1e6, 1e6, 0, 1e6, 2e6, 3e6, 4e6, np.nan],
            status=["finished"] * 3 + ["diverged"] + ["finished"] * 4,
            annealed=[True, True, True, True, False, True, True, True],
        )
    )
    assert {dropped.reason: dropped.count for dropped in rows.dropped} == {
        "loss is missing": 1,
        "loss is infinite": 1,
        "tokens is missing or not above 0": 2,
        "status is diverged": 1,
        "not annealed": 1,
    }
    assert len(rows) == 2


@pytest.mark.parametrize("bad", [0.0, -1.2])
def test_a_loss_that_cannot_be_is_an_error_with_its_row(bad: float) -> None:
    loss = np.linspace(2, 1.5, 8)
    loss[4] = bad
    with pytest.raises(TableError, match="in row 5"):
        clean_rows(table(loss=loss))


def test_a_diverged_run_may_have_any_loss() -> None:
    loss = np.linspace(2, 1.5, 8)
    loss[4] = 0.0
    assert len(clean_rows(table(loss=loss, status=["diverged" if i == 4 else "finished" for i in range(8)]))) == 7


def test_two_validation_sets_are_refused() -> None:
    with pytest.raises(RefusedError, match=r"mixed_eval_sets.*a, b"):
        clean_rows(table(eval_set=["a"] * 4 + ["b"] * 4))


def test_an_unknown_count_of_parameters_names_the_known_ones() -> None:
    with pytest.raises(TableError, match="params_total"):
        clean_rows(table(), "params_active")


def test_flops_that_are_missing_are_6nd_and_said_so() -> None:
    rows = clean_rows(table())
    np.testing.assert_allclose(rows.flops, 6 * rows.params * rows.tokens)
    assert "6 x params x tokens" in rows.assumed[0]


def test_labels_are_text_or_none() -> None:
    rows = clean_rows(table(group=[1.0, 1.0, None, 2.0, 2.0, 2.0, 2.0, 2.0]))
    assert rows.group[:3] == ["1.0", "1.0", None]


@pytest.mark.parametrize(
    ("columns", "code"),
    [
        ({"params_total": [1e5] * 8}, "one_size"),
        ({"tokens": [1e6] * 8}, "one_token_count"),
        ({"tokens": 20 * np.geomspace(1e4, 1e5, 8)}, "collinear"),
        ({"tokens": 3 * np.geomspace(1e4, 1e5, 8) ** 1.4}, "collinear"),
        ({"loss": [2.0] * 8}, "equal_losses"),
        ({"loss": [2.0, 1.9, 1.8, 1.7, 1.6] + [np.nan] * 3}, "too_few_runs"),
    ],
)
def test_what_no_fit_can_mean_is_refused_by_name(columns: dict[str, object], code: str) -> None:
    assert next(refusal.code for refusal in refusals(clean_rows(table(**columns)), CHINCHILLA)) == code


def test_each_law_is_refused_by_its_own_needs(ladder: Callable[..., RunTable]) -> None:
    proportional = clean_rows(table(tokens=20 * np.geomspace(1e4, 1e5, 8)))
    assert not list(refusals(proportional, POWER))
    assert [refusal.code for refusal in refusals(clean_rows(ladder(budgets=1)), POWER)] == ["one_compute"]


def test_two_versions_of_the_software_are_refused() -> None:
    software = ["torch 2.13"] * 4 + ["torch 2.14"] * 4
    with pytest.raises(RefusedError, match=r"mixed_software.*2\.13.*2\.14"):
        clean_rows(table(software=software))


def test_runs_that_skipped_steps_are_counted() -> None:
    assert clean_rows(table(skipped_steps=[0.0] * 6 + [3.0, 200.0])).skipped == 2
    assert clean_rows(table()).skipped == 0


def test_numbers_whose_powers_overflow_are_left_out_and_counted() -> None:
    loss, tokens = np.linspace(2, 1.5, 8), 1e6 * np.array([1, 3, 2, 5, 1, 4, 2, 6])
    loss[0], loss[1], tokens[2], tokens[3] = 5e-324, 1e300, 1e300, 1e-300
    rows = clean_rows(table(loss=loss, tokens=tokens, flops=6e10))
    assert {dropped.reason: dropped.count for dropped in rows.dropped} == {
        "loss is not within 1e-9 to 1e9": 2,
        "tokens is not within 1e-9 to 1e40": 2,
    }
    assert len(rows) == 4


@pytest.mark.parametrize("law", ["power", "saturating_flops"])
def test_a_law_of_the_frontier_says_when_runs_lie_off_it(ladder: Callable[..., RunTable], law: str) -> None:
    told = list(off_frontier(clean_rows(ladder()), LAWS[law]))
    assert [check.code for check in told] == ["off_frontier"]
    assert "20 of 24 runs" in told[0].evidence
    best = ladder().frame.sort_values("loss").drop_duplicates("group")
    assert not list(off_frontier(clean_rows(RunTable(best, "a test")), LAWS[law]))
    assert not list(off_frontier(clean_rows(ladder()), CHINCHILLA))


@pytest.mark.parametrize(
    ("columns", "entries"),
    [
        ({"tokenizer": ["gpt2"] * 8}, 50257),
        ({"vocab_size": [1000.0] * 8}, 1000),
        ({"width": [64.0] * 8, "params_head": [64.0 * 256] * 8}, 256),
    ],
)
def test_the_loss_of_guessing_is_known_where_the_vocabulary_is(columns: dict[str, object], entries: int) -> None:
    assert clean_rows(table(**columns)).guessing == pytest.approx(np.log(entries))
    assert clean_rows(table(tokenizer=["mine"] * 8)).guessing is None
    assert clean_rows(table(vocab_size=[1000.0] * 7 + [np.nan])).guessing is None


def curves(noise: float = 0.0, points: int = 14, seed: int = 0) -> pd.DataFrame:
    """Four sizes, each at many lengths."""
    n, d = np.repeat(np.geomspace(3e7, 1e9, 4), points), np.tile(np.arange(1, points + 1) * 2e9, 4)
    loss = 1.7 + 400 / n**0.34 + 400 / d**0.28
    loss *= np.exp(noise * np.random.default_rng(seed).standard_normal(len(n)))
    return pd.DataFrame({"params_total": n, "tokens": d, "loss": loss})


def trajectories(frame: pd.DataFrame) -> tuple[int, list[str]]:
    """How many trajectories there are, and the sentences about them."""
    rows = with_trajectories(clean_rows(RunTable(frame, "a test")))
    return len(set(rows.parent) - {None}), [text for text in rows.assumed if "trajector" in text]


def test_rows_of_one_name_and_size_are_one_trajectory() -> None:
    frame = curves(0.01, 3)
    count, told = trajectories(frame.assign(run=np.repeat(["a", "b", "c", "d"], 3)))
    assert (count, told) == (4, ["12 rows are points of 4 trajectories (equal `run` and size)"])
    assert trajectories(frame.assign(run=[f"r{i}" for i in range(12)])) == (0, [])
    assert trajectories(frame.assign(run="one sweep")[::3]) == (0, [])
    own = with_trajectories(clean_rows(RunTable(frame.assign(run="a", parent="mine"), "a test")))
    assert set(own.parent) == {"mine"}


def test_one_size_on_a_smoothly_falling_curve_is_one_trajectory() -> None:
    count, told = trajectories(curves(0.0003))
    assert count == 4
    assert "one size, a loss that falls smoothly" in told[0]
    assert sum(trajectories(curves(0.003, seed=seed))[0] for seed in range(25)) <= 1
    assert trajectories(curves(0.0003, points=8)) == (0, [])
    nearly = curves(0.0003)
    assert trajectories(nearly.assign(params_total=nearly["params_total"] + np.arange(len(nearly)))) == (0, [])


def test_a_fit_keeps_points_of_one_run_together() -> None:
    frame = curves(0.003, 5)
    found = fit(RunTable(frame.assign(run=np.repeat(["a", "b", "c", "d"], 5)), "a test"), draws=50)
    assert len({run.parent for run in found.runs}) == 4
    assert any("trajectories" in text for text in found.assumed)
    assert "shared_trajectories" in [check.code for check in found.checks]
    assert "trajectories" in found.bootstrap
