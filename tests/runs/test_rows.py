"""Rows of the run table: every cell by its definition, keys unaffected by labels, a digest of what determines a row."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.compute.families import FAMILIES
from foretoken.compute.objective import Objective
from foretoken.compute.shape import ModelShape
from foretoken.runs.record import CurvePoint, RunRecord
from foretoken.runs.spec import RunSpec
from foretoken.runs.table import COLUMNS, NEEDED, SIZES, Column, curve_rows, table_from_records

from .test_spec import SPEC, SPECS

SHAPE: dict[str, Any] = {"layers": 2, "width": 16, "heads": 2, "context": 32, "vocabulary": 64}


def record(spec: RunSpec = SPEC, **changes: Any) -> RunRecord:
    return RunRecord(**{"spec": spec, "status": "finished", "loss": 2.5, **changes})


@settings(max_examples=40, deadline=None)
@given(SPECS, st.text(max_size=20))
def test_a_label_is_in_the_row_and_not_in_the_key(spec: RunSpec, group: str) -> None:
    named = replace(spec, group=group)
    assert (named.key, named.trunk) == (spec.key, spec.trunk)
    assert record(named).to_row()["group"] == group
    assert int(spec.key, 16) >= 0


@pytest.mark.parametrize("family", FAMILIES)
def test_a_row_holds_the_counts_of_every_family(family: str) -> None:
    objective = Objective(kind=FAMILIES[family].usual_objective)
    heads = 1 if FAMILIES[family].recurrent else 2
    shape = ModelShape(**{**SHAPE, "heads": heads, "family": family})
    spec = replace(SPEC, shape=shape, objective=objective, batch_tokens=640, tokens=64_000)
    row = record(spec).to_row()
    total = sum(float(row[name] or 0) for name in ("params_embedding", "params_head", "params_non_embedding"))
    assert row["params_total"] == total == row["params_active"]
    assert row["flops_6nd"] == 6 * total * 64_000
    assert row["flops"] == spec.flops
    assert (row["family"], row["objective"], row["steps"]) == (family, objective.kind, 100.0)


def test_a_row_has_known_columns_of_their_kind() -> None:
    row = record(unique_tokens=9, parent="p", kwh=0.1, mfu=0.2).to_row()
    assert set(row) <= set(COLUMNS)
    kinds = {"number": float, "text": str, "flag": bool}
    for name, value in row.items():
        assert value is None or isinstance(value, kinds[COLUMNS[name].kind]), name
        assert COLUMNS[name].is_number == isinstance(value, float) or value is None, name


@pytest.mark.parametrize("name", COLUMNS)
def test_every_column_has_a_meaning_and_a_number_its_unit(name: str) -> None:
    column = COLUMNS[name]
    assert isinstance(column, Column)
    assert column.meaning
    assert column.is_number or column.unit in ("", "UTC")


def test_sizes_and_needed_columns_are_known() -> None:
    assert set(SIZES) | set(NEEDED) <= set(COLUMNS)
    assert all(COLUMNS[name].unit == "parameters" for name in SIZES)


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(5)), st.lists(st.floats(1.0, 9.0), min_size=5, max_size=5))
def test_rows_stand_from_the_cheapest_in_whatever_order_they_came(order: list[int], losses: list[float]) -> None:
    records = [record(replace(SPEC, tokens=512 * 10 ** (k + 1)), loss=losses[k]) for k in range(5)]
    table = table_from_records([records[k] for k in order], "a test")
    assert list(table.frame["flops"]) == sorted(table.frame["flops"])
    assert list(table.frame["loss"]) == losses
    assert table.digest == table_from_records(records, "another").digest


@pytest.mark.parametrize(
    ("changes", "moves"),
    [
        ({"loss": 2.6}, True), ({"loss_se": 0.1}, True), ({"status": "diverged"}, True), ({"skipped_steps": 1}, True),
        ({"seconds": 9.0}, False), ({"kwh": 9.0}, False), ({"device": "d"}, False), ({"mfu": 0.1}, False),
        ({"finished_at": "2030-01-01"}, False), ({"version": "9"}, False), ({"tokens_per_second": 1.0}, False),
    ],
    ids=str,
)  # fmt: skip
def test_the_digest_is_of_what_determines_a_run(changes: dict[str, Any], moves: bool) -> None:
    base = {"seconds": 1.0, "kwh": 1.0, "device": "c", "mfu": 0.5, "version": "8", "loss_se": 0.2}
    base |= {"finished_at": "2029-01-01", "tokens_per_second": 2.0}
    one, two = (table_from_records([record(**(base | more))], "t") for more in ({}, changes))
    assert (one.digest != two.digest) == moves


def test_columns_that_no_run_has_are_absent_but_the_loss_stays() -> None:
    table = table_from_records([record(status="failed", loss=None)], "a test")
    assert "kwh" not in table.frame
    assert "loss_se" not in table.frame
    assert math.isnan(table.frame["loss"][0])
    assert len(table) == 1


@settings(max_examples=30, deadline=None)
@given(shares=st.lists(st.floats(0.01, 1.0), min_size=1, max_size=6))
def test_points_of_a_curve_cost_their_share(shares: list[float]) -> None:
    curve = tuple(CurvePoint(share * SPEC.tokens, 3.0) for share in shares)
    rows = curve_rows([record(curve=curve)])
    assert [row["flops"] for row in rows] == pytest.approx([share * SPEC.flops for share in shares])
    assert [row["tokens"] for row in rows] == [point.tokens for point in curve]
    assert curve_rows([record(curve=curve, status="failed"), record(curve=(CurvePoint(0.0, 9.0),))]) == []
