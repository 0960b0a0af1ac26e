"""Checks of units, one by one: each names what the numbers are instead, and stays silent on plausible ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from foretoken.fits.check import Check
from foretoken.fits.fit import fit
from foretoken.fits.law_columns import VOCABULARIES
from foretoken.fits.rows import clean_rows
from foretoken.fits.table_rows import TableCheck, TableRows
from foretoken.fits.unit_checks import (
    CHECKS,
    LARGEST_VOCABULARY,
    PLAUSIBLE_RATIO,
    active_share,
    attention_share,
    embedding_share,
    loss_unit,
    units,
)
from foretoken.runs.table import RunTable

RUNS = 12


def frame_of(**columns: object) -> pd.DataFrame:
    """Twelve runs in plain counts and nats."""
    n = np.geomspace(1e7, 1e9, RUNS)
    d = 20 * n * np.tile([0.5, 1.0, 2.0], 4)
    own = {"params_total": n, "tokens": d, "flops": 6.05 * n * d, "loss": np.linspace(4.2, 2.9, RUNS)}
    return pd.DataFrame({**own, **columns})


def fired(check: TableCheck, frame: pd.DataFrame, assumed: tuple[str, ...] = ()) -> list[Check]:
    table = RunTable(frame, "a test", assumed)
    return list(check(TableRows.of(table, clean_rows(table))))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_plain_counts_and_nats_raise_no_doubt(check: TableCheck) -> None:
    assert not fired(check, frame_of())


@pytest.mark.parametrize(
    ("name", "values", "code"),
    [
        ("perplexity", lambda loss: 2**loss, "loss_in_bits"),
        ("val_ppl", lambda loss: 2**loss, "loss_in_bits"),
        ("eval_perplexity", lambda loss: loss, "loss_in_perplexity"),
        ("bits_per_token", lambda loss: loss, "loss_in_bits"),
        ("val_bpb", lambda loss: loss, "loss_in_bits"),
        ("ce_nats", lambda loss: loss * np.log(2), "loss_in_bits"),
        ("ce_nats", np.log, "loss_in_perplexity"),
    ],
)
def test_another_column_in_a_known_relation_tells_the_unit(name: str, values: object, code: str) -> None:
    other = values(frame_of()["loss"])  # type: ignore[operator]
    (check,) = fired(loss_unit, frame_of(**{name: other}))
    assert (check.code, check.is_doubt) == (code, True)
    assert f"`{name}`" in check.evidence
    assert check.evidence.endswith("in every run")


@pytest.mark.parametrize(
    ("name", "factor"), [("val_loss", 1.0), ("perplexity", 1.1), ("bpb", 1.01), ("loss_at_half", 1.2)]
)
def test_a_column_that_only_resembles_the_loss_tells_nothing(name: str, factor: float) -> None:
    assert not fired(loss_unit, frame_of(**{name: factor * frame_of()["loss"]}))


def test_a_relation_must_hold_in_every_run() -> None:
    other = 2 ** frame_of()["loss"]
    other.iloc[5] *= 1.01
    assert not fired(loss_unit, frame_of(perplexity=other))


@pytest.mark.parametrize(
    ("columns", "vocabulary"),
    [
        ({"vocab_size": 256.0}, 256),
        ({"vocabulary": 1000.0}, 1000),
        ({"width": 64.0, "params_head": 64.0 * 500}, 500),
        ({"width": 64.0, "params_head": 0.0, "params_embedding": 64.0 * 700}, 700),
        ({"tokenizer": "byte"}, VOCABULARIES["byte"]),
        ({"tokenizer": "GPT2"}, VOCABULARIES["gpt2"]),
        ({"tokenizer": "unheard of"}, None),
        ({}, None),
    ],
)
def test_losses_above_that_of_guessing_are_no_nats(columns: dict[str, object], vocabulary: int | None) -> None:
    guessing = np.log(vocabulary or LARGEST_VOCABULARY)
    assert not fired(loss_unit, frame_of(**columns, loss=np.linspace(0.95, 0.6, RUNS) * guessing))
    (check,) = fired(loss_unit, frame_of(**columns, loss=np.linspace(1.3, 1.1, RUNS) * guessing))
    assert check.code == ("loss_in_bits" if vocabulary else "loss_in_perplexity")
    assert f"12 runs of 12 are above ln V = {guessing:.2f}" in check.evidence
    (check,) = fired(loss_unit, frame_of(**columns, loss=np.linspace(9, 5, RUNS) * guessing))
    assert check.code == "loss_in_perplexity"
    assert "--loss-unit perplexity" in check.cure


def test_one_bad_run_of_many_is_not_taken_for_a_unit() -> None:
    many = pd.concat([frame_of()] * 3, ignore_index=True)
    many.loc[0, "loss"] = 14.0
    assert not fired(loss_unit, many)


@pytest.mark.parametrize("factor", [1e-9, 1e6])
def test_tokens_in_another_unit_are_doubted(factor: float) -> None:
    ratio = 20 * factor
    assert not PLAUSIBLE_RATIO[0] < ratio < PLAUSIBLE_RATIO[1]
    frame = frame_of(tokens=frame_of()["tokens"] * factor, flops=frame_of()["flops"] * factor)
    (check,) = fired(units, frame)
    assert check.code == "units_doubtful"
    assert f"{ratio:.3g} tokens per parameter" in check.evidence


@pytest.mark.parametrize("factor", [0.1, 20.0])
def test_flops_that_are_no_six_n_d_are_doubted(factor: float) -> None:
    (check,) = fired(units, frame_of(flops=frame_of()["flops"] * factor))
    assert check.code == "flops_inconsistent"


def test_flops_that_vary_tenfold_per_parameter_and_token_are_doubted() -> None:
    uneven = frame_of()["flops"] * np.geomspace(1, 11, RUNS)
    assert [check.code for check in fired(units, frame_of(flops=uneven))] == ["flops_inconsistent"]
    rising = fired(units, frame_of(flops=frame_of()["flops"] * np.geomspace(1, 8, RUNS)))
    assert [(check.code, check.severity) for check in rising] == [("flops_change_with_size", "note")]


def test_flops_that_were_assumed_are_noted_whoever_assumed_them() -> None:
    (check,) = fired(units, frame_of().drop(columns="flops"))
    assert (check.code, check.is_note) == ("flops_assumed", True)
    reader = fired(units, frame_of(), ("`flops` is missing and taken as 6 x params x tokens",))
    assert [check.code for check in reader] == ["flops_assumed"]


@pytest.mark.parametrize(
    ("shares", "fires"), [((0.5, 0.1), True), ((0.5, 0.45), False), ((0.25, 0.02), False), ((0.31, 0.2), True)]
)
def test_embeddings_that_weigh_more_in_small_models_are_doubted(shares: tuple[float, float], fires: bool) -> None:
    inner = frame_of()["params_total"] * (1 - np.linspace(*shares, RUNS))
    codes = [check.code for check in fired(embedding_share, frame_of(params_non_embedding=inner))]
    assert codes == ["embedding_share"] * fires


@pytest.mark.parametrize(("context", "fires"), [(8192.0, True), (16.0, False)])
def test_attention_that_six_n_d_leaves_out_is_noted(context: float, fires: bool) -> None:
    n, d = frame_of()["params_total"], frame_of()["tokens"]
    frame = frame_of(flops=6 * n * d, layers=12.0, width=768.0, context=context)
    assert [check.code for check in fired(attention_share, frame)] == ["attention_left_out"] * fires
    assert not fired(attention_share, frame.assign(flops=6.5 * n * d))
    assert not fired(attention_share, frame.drop(columns="context"))


@pytest.mark.parametrize(("share", "fires"), [(0.25, True), (0.95, False), (1.0, False)])
def test_a_mixture_of_experts_has_two_counts(share: float, fires: bool) -> None:
    checks = fired(active_share, frame_of(params_active=frame_of()["params_total"] * share))
    assert [check.code for check in checks] == ["active_differs"] * fires
    assert all(f"{100 * share:.0f} % of all" in check.evidence for check in checks)


def test_experts_of_several_ratios_are_a_doubt_and_say_which_count_is_n() -> None:
    total = frame_of()["params_total"]
    one_ratio = fired(active_share, frame_of(params_active=0.25 * total))[0]
    assert one_ratio.is_note
    assert "N is params_total; in 12 of 12 runs" in one_ratio.evidence
    assert "--params params_active" in one_ratio.cure
    dense_too = total.where(np.arange(RUNS) % 2 == 0, 0.25 * total)
    mixed = fired(active_share, frame_of(params_active=dense_too))[0]
    assert mixed.is_doubt
    assert "in 6 of 12 runs" in mixed.evidence


def test_active_parameters_that_only_some_runs_have_are_told_too() -> None:
    total = frame_of()["params_total"]
    some = (0.25 * total).where(np.arange(RUNS) < 4)
    assert "in 4 of 12 runs" in fired(active_share, frame_of(params_active=some))[0].evidence


def test_a_fit_says_which_count_is_n() -> None:
    n = np.repeat(np.geomspace(1e7, 1e9, 4), 3)
    d = np.tile(np.geomspace(1e9, 1e10, 3), 4)
    loss = 1.7 + 400 / n**0.34 + 400 / d**0.28
    frame = pd.DataFrame({"params_total": 4 * n, "params_active": n, "tokens": d, "loss": loss})
    for column, other in (("params_total", "params_active"), ("params_active", "params_total")):
        checks = {check.code: check for check in fit(RunTable(frame, "a test"), params=column, draws=50).checks}
        assert f"N is {column}" in checks["active_differs"].evidence
        assert f"--params {other}" in checks["active_differs"].cure
