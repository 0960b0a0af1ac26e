"""A table as its checks see it, also where a fit would refuse it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from foretoken.checks.diagnose import diagnose
from foretoken.checks.table_view import view_table
from foretoken.errors import ForetokenError, TableError
from foretoken.fits.check import SEVERITIES
from foretoken.runs.table import RunTable

Ladder = Callable[..., RunTable]


def test_a_table_of_budgets_is_seen_with_its_curves_and_its_fit(ladder: Ladder) -> None:
    view = view_table(ladder(noise=0.003))
    assert view.refusal == ""
    assert view.fit is not None
    assert view.fit.law == "chinchilla"
    assert [len(curve.runs) for curve in view.curves] == [6] * 4
    assert view.curves[0].flops < view.curves[-1].flops


def test_too_few_runs_are_seen_without_a_fit_and_with_the_reason(ladder: Ladder) -> None:
    view = view_table(RunTable(ladder().frame.head(5), "a test"))
    assert view.fit is None
    assert "too_few_runs" in view.refusal
    assert "\n" not in view.refusal
    assert len(view.curves) == 1


def test_runs_without_a_shared_budget_have_no_curves(ladder: Ladder) -> None:
    frame = ladder().frame.drop(columns="group").iloc[[0, 7]]
    assert view_table(RunTable(frame, "a test")).curves == []


def test_mixtures_and_impossible_losses_are_kept_in_the_frame_and_left_out_of_the_rows(ladder: Ladder) -> None:
    frame = ladder().frame.assign(eval_set=["a", "b"] * 12)
    frame.loc[3, "loss"] = -1.0
    view = view_table(RunTable(frame.head(6), "a test"))
    assert view.frame.loc[3, "loss"] == -1.0
    assert "eval_set" in view.frame
    assert "eval_set" not in view.table.frame
    assert len(view.rows) == 5
    assert 3 not in view.rows.row_index


def test_a_missing_column_leaves_nothing_to_look_at(ladder: Ladder) -> None:
    for column in ("tokens", "loss"):
        with pytest.raises(TableError, match=column):
            view_table(RunTable(ladder().frame.drop(columns=column), "a test"))


def test_a_diagnosis_of_a_refused_table_counts_rows_and_writes_plain_values(ladder: Ladder) -> None:
    frame = ladder().frame.head(5).assign(status=["finished"] * 4 + ["failed"])
    found = diagnose(RunTable(frame, "a test"))
    assert found.rows.used == 4
    assert [dropped.count for dropped in found.rows.dropped] == [1]
    assert found.checks[0].is_refusal
    assert [SEVERITIES.index(check.severity) for check in found.checks] == sorted(
        SEVERITIES.index(check.severity) for check in found.checks
    )
    assert found.flops == "6 to 6 FLOP per parameter (params_total) and token; 6 N D is 6"
    written = found.to_json()
    assert written["checks"][0]["severity"] == "refusal"
    assert written["conventions"]["entries"] == []


def test_a_misspelt_argument_is_named(ladder: Ladder) -> None:
    with pytest.raises(ForetokenError, match="did you mean 'params'"):
        diagnose(ladder(), parms="params_total")  # type: ignore[call-arg]
