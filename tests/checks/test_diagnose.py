"""Every check fires on a table that was made to have its defect, and is silent on a clean one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from foretoken.checks.diagnose import checks_of, diagnose
from foretoken.checks.table_view import view_table
from foretoken.errors import TableError
from foretoken.fits.rows import clean_rows
from foretoken.fits.table_rows import TableRows
from foretoken.fits.unit_checks import units
from foretoken.laws import CHINCHILLA, COUPLED, PUBLISHED
from foretoken.runs.table import RunTable

LAW = PUBLISHED["besiroglu_2024"].parameters
LOPSIDED = {"E": 1.8, "A": 5000.0, "B": 50.0, "alpha": 0.5, "beta": 0.2}
"""A law whose IsoFLOP curves are steeper on one side."""
Frame = pd.DataFrame
ALLOWED = {"irreducible_loss_not_identified", "starts_disagree"}
"""What a clean table may still be told: notes on what four decades of compute cannot show."""


def clean(
    seed: int = 0,
    *,
    drift: float = 0.0,
    centre: float = 0.0,
    noise: float = 0.003,
    wide: float = 1.5,
    law: Mapping[str, float] = LAW,
) -> RunTable:
    """8 budgets of 7 sizes around N*, noise on log loss; all columns that the checks read."""
    generator = np.random.default_rng(seed)
    rows = []
    for budget, flops in enumerate(np.geomspace(1e17, 1e21, 8)):
        assert CHINCHILLA.optimum is not None
        best = CHINCHILLA.optimum(law, flops)[0] * wide ** (centre + drift * (budget - 3.5))
        for step in range(-3, 4):
            N = best * wide**step
            D = flops / 6 / N
            loss = float(CHINCHILLA.evaluate(law, params=N, tokens=D)) * np.exp(noise * generator.standard_normal())
            rows.append(
                {"run": f"r{budget}{step}", "group": f"b{budget}", "params_total": N, "tokens": D, "flops": flops,
                 "loss": loss, "corpus": "c", "tokenizer": "t", "eval_set": "v", "status": "finished", "annealed": True,
                 "schedule": "wsd", "learning_rate": 0.01 * (N / 1e6) ** -0.3, "batch_tokens": 5e5,
                 "warmup_tokens": 0.02 * D, "unique_tokens": D}
            )  # fmt: skip
    return RunTable(pd.DataFrame(rows), "a test")


def codes(table: RunTable) -> set[str]:
    return {check.code for check in checks_of(view_table(table))}


def at(frame: Frame, name: str, value: object, row: int = 20) -> Frame:
    """The frame with one cell changed."""
    changed = frame.astype({name: object}) if isinstance(value, str) else frame.copy()
    changed.loc[row, name] = value
    return changed


def with_checkpoints(frame: Frame) -> Frame:
    """Half-way points of every run, under the run's own name."""
    half = frame.assign(tokens=frame["tokens"] / 2, flops=frame["flops"] / 2, group="half", loss=frame["loss"] * 1.05)
    return pd.concat([frame, half], ignore_index=True)


def with_unnamed_checkpoints(frame: Frame) -> Frame:
    """Five points of each of the longest runs, evenly spaced, under names of their own."""
    shares = [frame.tail(14).assign(**{name: frame[name] * s for name in ("tokens", "flops")}, group=None)
              .assign(loss=frame["loss"] * s**-0.06) for s in (0.2, 0.4, 0.6, 0.8, 1.0)]  # fmt: skip
    rows = pd.concat(shares, ignore_index=True)
    return rows.assign(run=[f"run-{i}" for i in range(len(rows))])


def with_sweep(frame: Frame, name: str, factors: tuple[float, ...], losses: tuple[float, ...]) -> Frame:
    """The middle size of each budget with several settings."""
    middle = frame[frame["run"].str.endswith("0")]
    swept = [
        middle.assign(
            **{name: middle[name] * factor, "loss": middle["loss"] * loss, "run": middle["run"] + str(factor)}
        )
        for factor, loss in zip(factors, losses, strict=True)
    ]
    return pd.concat([frame, *swept], ignore_index=True)


def tilted_start(frame: Frame) -> pd.Series:
    """What the two smallest budgets are off by: more, the larger the model."""
    return 1 + 0.02 * (frame.index % 7 - 3) * (frame["flops"] < 4e17)


def test_a_clean_table_is_told_nothing() -> None:
    for seed in range(3):
        assert codes(clean(seed)) <= ALLOWED


DEFECTS: list[tuple[str, Callable[[Frame], Frame]]] = [
    ("too_few_runs", lambda f: f.head(5)),
    ("few_runs", lambda f: f.iloc[::5].head(10)),
    ("one_size", lambda f: f.assign(params_total=1e7)),
    ("one_token_count", lambda f: f.assign(tokens=1e9)),
    ("collinear", lambda f: f.assign(tokens=20 * f["params_total"])),
    ("nearly_collinear", lambda f: f.assign(tokens=20 * f["params_total"] ** 1.1 * (1 + 0.2 * (f.index % 2)))),
    ("equal_losses", lambda f: f.assign(loss=2.5)),
    ("mixed_eval_sets", lambda f: at(f, "eval_set", "other")),
    ("mixed_tokenizers", lambda f: at(f, "tokenizer", "other")),
    ("mixed_corpora", lambda f: at(f, "corpus", "other")),
    ("mixed_software", lambda f: f.assign(software=["1", "2"] * 28)),
    ("mixed_families", lambda f: f.assign(family=["decoder", "encoder"] * 28)),
    ("mixed_objectives", lambda f: f.assign(objective=["causal", "masked"] * 28)),
    ("infinite_values", lambda f: at(f, "loss", np.inf)),
    ("missing_as_zero", lambda f: at(f, "loss", 0.0)),
    ("missing_as_zero", lambda f: at(f, "tokens", 0.0)),
    ("duplicated_rows", lambda f: pd.concat([f, f.tail(3).assign(run="again")], ignore_index=True)),
    ("duplicated_columns", lambda f: f.assign(val_loss=f["loss"])),
    ("duplicated_columns", lambda f: f.assign(score=f["loss"])),
    ("loss_in_perplexity", lambda f: f.assign(loss=np.exp(f["loss"]))),
    ("loss_in_perplexity", lambda f: f.assign(loss=np.exp(f["loss"]), ppl=np.exp(f["loss"]))),
    ("loss_in_bits", lambda f: f.assign(loss=f["loss"] / np.log(2), perplexity=np.exp(f["loss"]))),
    ("loss_in_bits", lambda f: f.assign(loss=f["loss"] / np.log(2), vocabulary=128)),
    ("loss_in_bits", lambda f: f.assign(loss=f["loss"] / np.log(2), width=32, params_head=32 * 128)),
    ("loss_in_bits", lambda f: f.assign(loss=f["loss"] / np.log(2), val_nats=f["loss"])),
    ("loss_in_bits", lambda f: f.assign(loss=f["loss"] / np.log(2), bits=f["loss"] / np.log(2))),
    ("loss_in_perplexity", lambda f: f.assign(loss=np.exp(f["loss"]), val_nats=f["loss"])),
    ("units_doubtful", lambda f: f.assign(tokens=f["tokens"] / 1e9)),
    ("units_doubtful", lambda f: f.assign(params_total=f["params_total"] / 1e3)),
    ("exchanged_counts", lambda f: f.rename(columns={"params_total": "tokens", "tokens": "params_total"})),
    ("flops_inconsistent", lambda f: f.assign(flops=f["flops"] / 3)),
    ("flops_inconsistent", lambda f: f.assign(flops=f["flops"] / (1 + 2 * (f.index % 3 == 0)))),
    ("flops_change_with_size", lambda f: f.assign(params_total=f["params_total"] - 300 * f["params_total"] ** 0.5)),
    ("rounded_losses", lambda f: f.assign(loss=f["loss"].round(2))),
    ("more_unique_than_seen", lambda f: f.assign(unique_tokens=2 * f["tokens"])),
    ("offset_rows", lambda f: f.assign(loss=f["loss"] * (1 + 0.02 * (f.index % 3 == 0)))),
    ("rate_drifts_with_size", lambda f: f.assign(loss=f["loss"] * (1 + 0.003 * np.log(f["params_total"] / 1e7) ** 2))),
    ("short_runs_above", lambda f: f.assign(loss=f["loss"] * (1 + 0.06 * f["tokens"].min() / f["tokens"]))),
    ("slope_changes", lambda f: f.assign(loss=f["loss"] * np.maximum(1, f["flops"] / 3e18) ** 0.02)),
    ("error_by_budget", lambda f: f.assign(loss=f["loss"] * (1 + 0.02 * np.isin(f["group"], ["b1", "b4", "b5"])))),
    ("undeclared_trajectories", with_unnamed_checkpoints),
    ("flops_inconsistent", lambda f: f.assign(flops=f["flops"] / 8.64e19)),
    ("params_undeclared", lambda f: f.rename(columns={"params_total": "params"})),
    ("embedding_share", lambda f: f.assign(params_non_embedding=f["params_total"] - 0.6 * f["params_total"].min())),
    ("attention_left_out", lambda f: f.assign(layers=10, width=f["params_total"] ** 0.5 / 10, context=4096)),
    ("active_differs", lambda f: f.assign(params_active=0.2 * f["params_total"])),
    ("diverged_runs", lambda f: at(f, "status", "diverged")),
    ("outlying_runs", lambda f: at(f, "loss", 4.5)),
    ("skipped_steps", lambda f: f.assign(skipped_steps=3.0)),
    ("repeated_tokens", lambda f: f.assign(unique_tokens=f["tokens"] / 3)),
    ("shared_trajectories", lambda f: f.assign(parent=f["group"])),
    ("undeclared_trajectories", with_checkpoints),
    ("wrong_horizon", lambda f: with_checkpoints(f.assign(schedule="cosine"))),
    ("unannealed_points", lambda f: at(f.astype({"annealed": object}), "annealed", False)),
    ("unannealed_points", lambda f: f.drop(columns="annealed").assign(schedule="constant")),
    ("long_warmup", lambda f: f.assign(warmup_tokens=0.3 * f["tokens"].median())),
    ("learning_rate_edge", lambda f: with_sweep(f, "learning_rate", (0.5, 2.0), (1.01, 0.99))),
    ("batch_edge", lambda f: with_sweep(f, "batch_tokens", (0.5, 2.0), (0.98, 1.01))),
    ("sweep_not_reduced", lambda f: with_sweep(f, "learning_rate", (0.5, 2.0), (1.01, 1.01))),
    ("one_learning_rate", lambda f: f.assign(learning_rate=3e-4)),
    ("sharp_metric", lambda f: f.assign(metric="exact_match")),
    ("isoflop_edge_small", lambda f: f.drop(f.index[(f["group"] == "b3") & (f.index % 7 < 3)])),
    ("isoflop_edge_large", lambda f: f.drop(f.index[(f["group"] == "b3") & (f.index % 7 > 3)])),
    ("isoflop_no_minimum", lambda f: f.assign(loss=f["loss"].where(f["group"] != "b3", 6 - f["loss"]))),
    ("no_interior_minimum", lambda f: f[f.index % 7 > 3]),
    ("no_interior_minimum", lambda f: f[f.index % 7 < 3]),
    ("isoflop_too_few", lambda f: f.drop(f.index[(f["group"] == "b3") & (f.index % 7 < 4)][:4])),
    ("little_explained", lambda f: f.assign(loss=np.random.default_rng(0).permutation(f["loss"]))),
    ("residual_trend", lambda f: f.assign(loss=f["loss"] * np.exp(0.006 * np.log(f["flops"] / 1e19) ** 2))),
    ("smallest_runs_matter", lambda f: f.assign(loss=f["loss"] * tilted_start(f))),
    ("noise_changes", lambda f: f.assign(loss=f["loss"] * np.where(f["flops"] > 1e19, 1, 1 + 0.03 * (-1) ** f.index))),
]  # fmt: skip


@pytest.mark.parametrize(("code", "spoil"), DEFECTS, ids=[f"{code}-{i}" for i, (code, _) in enumerate(DEFECTS)])
def test_a_defect_is_named_with_evidence_and_cure(code: str, spoil: Callable[[Frame], Frame]) -> None:
    table = clean()
    found = [check for check in checks_of(view_table(replace(table, frame=spoil(table.frame)))) if check.code == code]
    assert found
    assert all(check.evidence and check.cure and check.severity in ("note", "doubt", "refusal") for check in found)


@pytest.mark.parametrize(
    ("code", "table"),
    [
        ("off_centre_grid", clean(centre=1.6)),
        ("drifting_grid", clean(drift=0.5)),
        ("isoflop_bias", clean(wide=2.6, law=LOPSIDED)),
        ("isoflop_bias", clean(wide=3.0, drift=0.45, law=LOPSIDED)),
    ],
)
def test_a_grid_off_its_centre_is_named(code: str, table: RunTable) -> None:
    assert code in codes(table)


def test_one_run_that_carries_the_fit_is_named() -> None:
    frame = clean(noise=0.001).frame
    far = frame.iloc[-1].copy()
    far["run"], far["params_total"], far["tokens"], far["flops"], far["group"] = "far", 3e11, 6e12, 1.08e25, "far"
    far["loss"] = 1.02 * float(CHINCHILLA.evaluate(LAW, params=3e11, tokens=6e12))
    small = pd.concat([frame[frame["flops"] < 1e19], far.to_frame().T.astype(frame.dtypes)], ignore_index=True)
    checks = {check.code: check for check in checks_of(view_table(RunTable(small, "a test")))}
    assert "run far" in checks["influential_run"].evidence


def test_a_law_with_an_exponent_at_its_bound_is_named() -> None:
    frame = clean().frame
    flat = frame.assign(loss=2.0 + 1e3 / frame["params_total"] ** 0.5)
    assert "parameter_at_bound" in codes(RunTable(flat, "a test"))


def test_worst_first_and_each_once() -> None:
    frame = clean().frame.assign(eval_set=["a", "b"] * 28, learning_rate=1e-3)
    checks = diagnose(RunTable(frame, "a test")).checks
    order = [("refusal", "doubt", "note").index(check.severity) for check in checks]
    assert order == sorted(order)
    assert len({(check.code, check.evidence) for check in checks}) == len(checks)


def test_missing_columns_are_an_error() -> None:
    with pytest.raises(TableError, match="tokens"):
        diagnose(RunTable(clean().frame.drop(columns="tokens"), "a test"))


def test_a_table_of_nothing_usable_is_diagnosed() -> None:
    frame = clean().frame.assign(status="failed")
    found = diagnose(RunTable(frame, "a test"))
    assert found.checks[0].code == "too_few_runs"
    assert found.conventions.reason


@pytest.mark.parametrize("shared", [0.0, 0.006])
def test_tables_that_follow_a_law_are_hardly_ever_doubted(shared: float) -> None:
    alarmed = 0
    for seed in range(8):
        table, generator = clean(seed, noise=0.004), np.random.default_rng(1000 + seed)
        error = np.exp(shared * generator.standard_normal(8)).repeat(7)
        checks = checks_of(view_table(replace(table, frame=table.frame.assign(loss=table.frame["loss"] * error))))
        alarmed += any(check.severity != "note" for check in checks)
    assert alarmed <= 1


def test_a_minimum_at_one_edge_is_noted_and_at_many_edges_doubted() -> None:
    frame = clean().frame
    severity = {}
    for count in (1, 4):
        cut = frame["group"].isin([f"b{i}" for i in range(count)]) & (frame.index % 7 > 3)
        checks = checks_of(view_table(RunTable(frame[~cut], "a test")))
        severity[count] = {check.code: check.severity for check in checks}["isoflop_edge_large"]
    assert severity == {1: "note", 4: "doubt"}


def test_each_count_in_thousands_is_named_with_its_unit() -> None:
    frame = clean().frame
    for name, word in (("params_total", "params are"), ("tokens", "tokens are")):
        for factor, unit in ((1e3, "thousands"), (1e6, "millions"), (1e9, "billions")):
            (check,) = units(TableRows.of(small := RunTable(frame.assign(**{name: frame[name] / factor}), "a test"),
                                          clean_rows(small)))  # fmt: skip
            assert f"{word} in {unit}" in check.evidence


def test_two_outliers_do_not_mask_each_other_and_a_group_is_told_by_its_rows() -> None:
    frame = clean(noise=0.004).frame
    two = frame["loss"] * np.where(np.isin(frame.index, [10, 11]), 1.05, 1.0)
    outlying = [c for c in checks_of(view_table(RunTable(frame.assign(loss=two), "a test"))) if "outlying" in c.code]
    assert [check.evidence[:6] for check in outlying] == ["2 runs"]
    off = frame.assign(loss=frame["loss"] * (1 + 0.03 * (frame.index % 4 == 1)), seed=frame.index % 4)
    checks = {check.code: check for check in checks_of(view_table(RunTable(off, "a test")))}
    assert "14 of 56 runs lie" in checks["offset_rows"].evidence
    assert "column `seed` tells them apart" in checks["offset_rows"].evidence


@pytest.mark.parametrize("seed", range(3))
def test_a_ladder_of_ratios_that_follows_the_coupled_law_is_not_doubted(seed: int) -> None:
    generator = np.random.default_rng(seed)
    n, ratio = np.repeat(np.geomspace(1e7, 1e9, 7), 6), np.tile(np.geomspace(4, 100, 6), 7)
    loss = COUPLED.evaluate({**LAW, "gamma": 0.5}, params=n, tokens=ratio * n)
    noisy = loss * np.exp(0.004 * generator.standard_normal(len(n)))
    frame = pd.DataFrame({"params_total": n, "tokens": ratio * n, "flops": 6 * ratio * n**2, "loss": noisy})
    assert not [check.code for check in checks_of(view_table(RunTable(frame, "a test"))) if check.is_doubt]
