"""Checks of a table, one by one: each fires on the table that has its fault, and on the clean one none does."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.fits.check import SEVERITIES, Check
from foretoken.fits.mixtures import MIXED
from foretoken.fits.rows import clean_rows
from foretoken.fits.table_checks import (
    CHECKS,
    COUNTS,
    MAY_BE_EQUAL,
    TABLE,
    doubtful_design,
    doubtful_rows,
    doubts,
    duplicated_columns,
    duplicated_rows,
    infinite_values,
    missing_as_zero,
    mixed,
    no_interior_minimum,
    refused,
)
from foretoken.fits.table_rows import TableCheck, TableRows, without_refusals
from foretoken.runs.table import COLUMNS, RunTable

Change = Callable[[pd.DataFrame], pd.DataFrame]


def clean_frame() -> pd.DataFrame:
    """Three budgets of five sizes, each with its lowest loss in the middle."""
    rows = []
    for budget, flops in enumerate((1e15, 1e16, 1e17)):
        for step in range(-2, 3):
            params = 1e6 * 3.0**budget * 2.0**step
            loss = 4.0 - 0.5 * budget + 0.02 * step**2 + 0.001 * step
            rows.append((f"r{budget}{step}", f"b{budget}", params, flops / 6 / params, flops, loss))
    return pd.DataFrame(rows, columns=["run", "group", "params_total", "tokens", "flops", "loss"])


def seen_in(frame: pd.DataFrame) -> TableRows:
    table = RunTable(frame, "a test")
    return TableRows.of(table, clean_rows(without_refusals(table)))


def fired(check: TableCheck, frame: pd.DataFrame) -> list[Check]:
    return list(check(seen_in(frame)))


def spoiled(column: str, values: Sequence[object], rows: Sequence[int] = (1, 3)) -> pd.DataFrame:
    """The clean table with other values in some cells of one column."""
    frame = clean_frame()
    frame.loc[list(rows), column] = list(values)
    return frame


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_nothing_fires_on_a_clean_table(check: TableCheck) -> None:
    assert not fired(check, clean_frame())


@pytest.mark.parametrize("name", ["loss", "tokens", "flops", "params_total"])
def test_infinite_cells_are_named_with_their_rows(name: str) -> None:
    (check,) = fired(infinite_values, spoiled(name, [np.inf, -np.inf]))
    assert (check.code, check.is_doubt) == ("infinite_values", True)
    assert check.evidence == f"{name} is infinite in 2 rows: 2, 4"


def test_infinities_in_columns_that_no_law_knows_do_not_matter() -> None:
    assert not fired(infinite_values, clean_frame().assign(cosine=np.inf))
    assert not fired(infinite_values, clean_frame().assign(family="inf"))


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("value", [0.0, -1.0])
def test_a_zero_in_place_of_nothing_is_named(name: str, value: float) -> None:
    frame = clean_frame()
    if name not in frame:
        frame[name] = frame["params_total"] * 0.9
    frame.loc[2, name] = value
    (check,) = fired(missing_as_zero, frame)
    assert check.evidence == f"{name} is 0 or below in 1 row: 3"


def test_an_empty_cell_is_no_zero() -> None:
    assert not fired(missing_as_zero, spoiled("loss", [np.nan, np.nan]))


@pytest.mark.parametrize("again", [1, 2, 6])
def test_rows_that_repeat_another_are_counted_under_any_name(again: int) -> None:
    frame = clean_frame()
    copies = frame.head(again).assign(run=[f"copy {number}" for number in range(again)], seconds=1.5)
    (check,) = fired(duplicated_rows, pd.concat([frame.assign(seconds=9.0), copies], ignore_index=True))
    first = ", ".join(str(len(frame) + number + 1) for number in range(min(again, 5)))
    assert check.evidence.startswith(f"{again} row{'s repeat' if again > 1 else ' repeats'} another: {first}")
    assert check.evidence.endswith("and 1 more") == (again > 5)


def test_rows_that_differ_in_what_a_law_may_read_are_no_doubles() -> None:
    frame = clean_frame()
    other = frame.head(1).assign(learning_rate=0.5)
    assert not fired(duplicated_rows, pd.concat([frame.assign(learning_rate=0.1), other], ignore_index=True))


def test_cells_that_hold_lists_are_compared_too() -> None:
    frame = clean_frame().assign(notes=[["a"]] * 15)
    assert not fired(duplicated_rows, frame)
    doubled = pd.concat([frame, frame.head(1)], ignore_index=True)
    assert [check.code for check in fired(duplicated_rows, doubled)] == ["duplicated_rows"]


@pytest.mark.parametrize(
    ("name", "source", "severity"),
    [("unique_tokens", "flops", "doubt"), ("bits_per_byte", "loss", "doubt"), ("score_of_mine", "loss", "note")],
)
def test_a_column_that_is_there_twice_is_named(name: str, source: str, severity: str) -> None:
    frame = clean_frame()
    (check,) = fired(duplicated_columns, frame.assign(**{name: frame[source]}))
    assert (check.code, check.severity) == ("duplicated_columns", severity)
    assert f"`{source}`" in check.evidence
    assert f"`{name}`" in check.evidence


@pytest.mark.parametrize("pair", [sorted(pair)[:2] for pair in MAY_BE_EQUAL], ids=str)
def test_counts_that_may_agree_are_no_doubles(pair: list[str]) -> None:
    frame = clean_frame().drop(columns="params_total")
    frame["params"] = clean_frame()["params_total"] * 1.01
    values = frame[pair[0]] if pair[0] in frame else clean_frame()["params_total"]
    assert not fired(duplicated_columns, frame.assign(**dict.fromkeys(pair, values)))


def test_columns_of_one_value_say_nothing() -> None:
    assert not fired(duplicated_columns, clean_frame().assign(seed=1.0, layers=1.0, width=1.0))


@pytest.mark.parametrize("column", MIXED)
def test_what_one_law_cannot_be_fitted_across_is_a_refusal(column: str) -> None:
    frame = clean_frame().assign(**{column: ["first"] * 7 + ["second"] * 8})
    (check,) = fired(mixed, frame)
    assert (check.code, check.is_refusal) == (MIXED[column][0], True)
    assert "first, second" in check.evidence
    assert not fired(mixed, clean_frame().assign(**{column: "first"}))


@pytest.mark.parametrize(
    ("column", "code"),
    [("corpus", "mixed_corpora"), ("family", "mixed_families"), ("objective", "mixed_objectives")],
)
def test_what_should_be_fitted_apart_is_a_doubt(column: str, code: str) -> None:
    (check,) = fired(mixed, clean_frame().assign(**{column: ["x"] * 5 + ["y"] * 5 + ["z"] * 5}))
    assert (check.code, check.is_doubt) == (code, True)
    assert check.evidence == f"3 values of {column}: x, y, z"
    left_out = clean_frame().assign(**{column: ["x"] * 14 + ["y"]}, status=["finished"] * 14 + ["failed"])
    assert not fired(mixed, left_out)


@pytest.mark.parametrize(("slope", "side"), [(0.3, "smallest"), (-0.3, "largest")])
def test_budgets_whose_best_run_is_at_an_end_are_counted(slope: float, side: str) -> None:
    frame = clean_frame()
    frame["loss"] += slope * np.tile(np.arange(5), 3)
    (check,) = fired(no_interior_minimum, frame)
    smallest, largest = (3, 0) if side == "smallest" else (0, 3)
    assert check.evidence == (
        f"of 3 budgets {smallest} have their lowest loss at the smallest size and {largest} at the largest"
    )


def test_one_budget_of_three_without_a_middle_is_no_doubt() -> None:
    frame = clean_frame()
    frame.loc[:4, "loss"] += 0.3 * np.arange(5)
    assert not fired(no_interior_minimum, frame)


def test_a_table_without_budgets_is_not_asked_for_minima() -> None:
    frame = clean_frame().drop(columns="group")
    frame["flops"] *= 1.1 ** np.arange(15)
    frame["loss"] = np.linspace(4, 3, 15)
    assert not fired(no_interior_minimum, frame)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda f: f.head(4), "too_few_runs"),
        (lambda f: f.assign(params_total=1e6), "one_size"),
        (lambda f: f.assign(tokens=1e9), "one_token_count"),
        (lambda f: f.assign(tokens=20 * f["params_total"]), "collinear"),
        (lambda f: f.assign(loss=3.0), "equal_losses"),
    ],
)
def test_what_no_fit_can_mean_is_the_check_of_its_refusal(change: Change, code: str) -> None:
    checks = fired(refused, change(clean_frame()))
    assert code in {check.code for check in checks}
    assert all(check.is_refusal and check.cure for check in checks)


@pytest.mark.parametrize(
    ("check", "change", "code"),
    [
        (doubtful_design, lambda f: f.head(9), "few_runs"),
        (
            doubtful_design,
            lambda f: f.assign(tokens=f["params_total"] * (1 + 0.05 * (f.index % 2))),
            "nearly_collinear",
        ),
        (doubtful_rows, lambda f: f.assign(parent=["p", "p", *[None] * 13]), "shared_trajectories"),
        (doubtful_rows, lambda f: f.rename(columns={"params_total": "params"}), "params_undeclared"),
        (doubtful_rows, lambda f: f.assign(status=["diverged"] * 2 + ["finished"] * 13), "diverged_runs"),
        (doubtful_rows, lambda f: f.assign(skipped_steps=[3.0] + [0.0] * 14), "skipped_steps"),
        (doubtful_rows, lambda f: f.assign(unique_tokens=f["tokens"] / 4), "repeated_tokens"),
    ],
)
def test_each_doubt_of_design_and_rows_comes_alone(check: TableCheck, change: Change, code: str) -> None:
    assert [found.code for found in fired(check, change(clean_frame()))] == [code]


def test_two_runs_are_too_few_to_doubt_their_design() -> None:
    assert not fired(doubtful_design, clean_frame().head(2))


def test_doubts_come_worst_first_and_each_once() -> None:
    frame = clean_frame().assign(eval_set=["a"] * 7 + ["b"] * 8, mine=clean_frame()["loss"])
    frame.loc[3, "loss"] = np.inf
    table = RunTable(pd.concat([frame, frame.head(1)], ignore_index=True), "a test")
    checks = doubts(table, clean_rows(without_refusals(table)))
    ranks = [SEVERITIES.index(check.severity) for check in checks]
    assert ranks == sorted(ranks)
    assert {"mixed_eval_sets", "infinite_values", "duplicated_rows"} <= {check.code for check in checks}
    assert len(checks) == len(set(checks))


def test_units_are_judged_only_for_a_law_of_nats_per_token() -> None:
    table = RunTable(clean_frame().assign(loss=clean_frame()["loss"] * 10), "a test")
    rows = clean_rows(table)
    assert {check.code for check in doubts(table, rows)} & {"loss_in_perplexity", "loss_in_bits"}
    assert not doubts(table, rows, unit="points")


@given(st.permutations(range(15)))
@settings(max_examples=4, deadline=None)
def test_the_order_of_rows_changes_no_code(order: list[int]) -> None:
    frame = clean_frame().assign(family=["x"] * 8 + ["y"] * 7)
    frame.loc[5, "tokens"] = np.inf

    def codes(table: pd.DataFrame) -> set[str]:
        return {found.code for check in TABLE for found in fired(check, table)}

    assert codes(frame.iloc[order].reset_index(drop=True)) == codes(frame) == {"infinite_values", "mixed_families"}


def test_columns_are_read_at_the_usable_rows_alone() -> None:
    frame = clean_frame().assign(width=[np.nan] + [64.0] * 14, tokenizer=["odd"] + ["bpe"] * 14)
    frame.loc[0, "loss"] = np.nan
    seen = seen_in(frame)
    assert seen.words("tokenizer") == ["bpe"]
    width = seen.used("width")
    assert width is not None
    assert width.tolist() == [64.0] * 14
    assert seen.used("layers") is None
    assert seen.words("corpus") == []


def test_a_column_with_a_gap_at_a_usable_row_is_not_used() -> None:
    assert seen_in(clean_frame().assign(width=[np.nan] + [64.0] * 14)).used("width") is None


def test_without_refusals_a_mixture_and_a_loss_of_zero_are_let_through() -> None:
    frame = clean_frame().assign(**{column: ["a"] * 7 + ["b"] * 8 for column in MIXED})
    frame.loc[4, "loss"] = 0.0
    table = RunTable(frame, "a test")
    passed = without_refusals(table)
    assert not set(MIXED) & set(passed.frame)
    assert len(clean_rows(passed)) == 14
    assert table.frame.loc[4, "loss"] == 0.0
    assert set(MIXED) <= set(table.frame)


def test_every_column_that_a_check_reads_is_a_known_one() -> None:
    assert set(COUNTS) <= set(COLUMNS)
    assert set().union(*MAY_BE_EQUAL) <= set(COLUMNS)


def test_rows_are_numbered_anew_whatever_the_index() -> None:
    frame = spoiled("loss", [np.inf, np.inf]).set_index(pd.Index(range(100, 115)))
    table = RunTable(frame, "a test")
    (check,) = infinite_values(TableRows.of(table, clean_rows(table)))
    assert check.evidence.endswith("2, 4")
