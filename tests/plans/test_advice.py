"""The papers' own tables and examples, by what `foretoken compare` says."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from foretoken.errors import ForetokenError
from foretoken.fits import fit
from foretoken.laws import LAWS, PUBLISHED
from foretoken.plans.advice import advice, advisers, compare
from foretoken.runs.table import RunTable

GOPHER = 5.76e23
TABLES = {"hoffmann_2022_approach1": 0.05, "hoffmann_2022_approach2": 0.05, "hoffmann_2022_tex": 0.08}
"""Hoffmann et al. 2022, tables 3 and A3, and how near the laws come to them."""


@pytest.mark.parametrize(("name", "near"), TABLES.items())
def test_every_row_of_chinchillas_tables(name: str, near: float) -> None:
    assert len(PUBLISHED[name].table) == 9
    for row in PUBLISHED[name].table:
        found = advice(name, row["flops"])
        assert found.params == pytest.approx(row["params"], rel=near)
        own = row["flops"] / 6 / row["params"] / row["tokens"] - 1  # how far the printed row is from its own 6 N D
        slack = abs(own) if own > 0.04 else 0.0  # one row: approach 3 at 280B, 3.52e25 FLOP on 20.1T tokens
        assert found.tokens == pytest.approx(row["tokens"], rel=near + slack)


def test_the_misprint_of_table_a3_is_recognised() -> None:
    """Approach 3, 175B: printed 1.26e24 FLOP, a tenth of 6 N D of its own row."""
    (row,) = (row for row in PUBLISHED["hoffmann_2022_tex"].table if row["params"] == 175e9)
    assert (row["flops"], row["tokens"]) == (1.26e25, 12e12)
    assert 6 * row["params"] * row["tokens"] / 1.26e24 == pytest.approx(10, rel=0.01)
    assert advice("hoffmann_2022_tex", 1.26e24).params < 0.4 * row["params"]
    assert any("1.26e24" in text for text in PUBLISHED["hoffmann_2022_tex"].careful)


@pytest.mark.parametrize(("name", "ratio"), [("hoffmann_2022_tex", 59), ("besiroglu_2024", 18.4)])
def test_tokens_per_parameter_at_the_gopher_budget(name: str, ratio: float) -> None:
    (row,) = (row for row in compare(GOPHER).laws if row.id == name)
    assert row.tokens_per_param == pytest.approx(ratio, rel=0.005)


@pytest.mark.parametrize("flops", [1e20, 1e23])
def test_ten_times_the_compute_to_kaplan_et_al(flops: float) -> None:
    """Kaplan et al. 2020: 5.4 times the model, 1.86 times the data."""
    less, more = advice("kaplan_2020_allocation", flops), advice("kaplan_2020_allocation", 10 * flops)
    assert more.params / less.params == pytest.approx(5.4, rel=0.01)
    assert more.tokens / less.tokens == pytest.approx(1.86, rel=0.01)


def test_the_flagship_of_llama_3() -> None:
    """Grattafiori et al. 2024, section 3.2.1: 402B parameters on 16.55T tokens at 3.8e25 FLOP."""
    found = advice("llama3_2024", 3.8e25)
    assert found.params == pytest.approx(402e9, rel=0.04)
    assert found.tokens == pytest.approx(16.55e12, rel=0.04)
    assert found.extrapolation["flops"] == pytest.approx(3800)


@pytest.mark.parametrize("flops", [1e18, 1e20, 1e24])
def test_deepseeks_halves_agree(flops: float) -> None:
    """DeepSeek-AI 2024: M 0.1715 C^0.5243 FLOP per token and D 5.8316 C^0.4757 spend C together."""
    found = advice("deepseek_2024", flops)
    assert 6 * found.params == pytest.approx(0.1715 * flops**0.5243)
    assert found.tokens == pytest.approx(5.8316 * flops**0.4757, rel=0.002)


@pytest.mark.parametrize(
    ("name", "at", "rate"),
    [
        ("deepseek_2024_learning_rate", {"flops": 1e20}, 9.86e-4),
        ("deepseek_2024_batch", {"flops": 1e20}, 1.02e6),
        ("steplaw_2025_learning_rate", {"params": 1e9, "tokens": 1e11}, 1.63e-3),
        ("steplaw_2025_batch", {"tokens": 1e11}, 1.11e6),
    ],
)
def test_learning_rates_and_batches_of_deepseek_and_step_law(name: str, at: dict[str, float], rate: float) -> None:
    entry = PUBLISHED[name]
    assert float(LAWS[entry.law].evaluate(entry.parameters, **at)) == pytest.approx(rate, rel=0.005)


def test_every_row_says_what_it_counts_and_how_far_it_reaches() -> None:
    found = compare(GOPHER)
    assert [row.id for row in found.laws] == advisers()
    for row in found.laws:
        assert row.counting
        assert row.compute
        assert row.range
        assert row.source
        assert (row.loss is None) == (row.loss_reason is not None)
        assert all(factor >= 1 for factor in row.extrapolation.values())
        assert found.spread["params"][0] <= row.params <= found.spread["params"][1]
        per_token = PUBLISHED[row.id].flops_per_param_token
        assert per_token * row.params * row.tokens == pytest.approx(GOPHER, rel=1e-6)
    assert {law.id for law in found.left_out} >= {"kaplan_2020", "hoffmann_2022_rounded"}
    json.dumps(found.to_json(), allow_nan=False)


def test_ranges_of_the_registry_have_two_ends() -> None:
    for entry in PUBLISHED.values():
        assert set(entry.ranges) <= {"params", "tokens", "flops"}
        assert all(0 <= low <= high for low, high in entry.ranges.values())


def test_ones_own_fit_comes_first_with_its_intervals(ladder: Callable[..., RunTable]) -> None:
    own = compare(1e13, fit=fit(ladder(noise=0.003), draws=50)).laws[0]
    assert (own.id, own.status) == ("fit", "fitted")
    assert own.intervals["params"] is not None
    assert own.intervals["params"][0] < own.params < own.intervals["params"][1]


def test_what_cannot_be_asked() -> None:
    with pytest.raises(ForetokenError, match="compute"):
        compare(0.0)
    with pytest.raises(ForetokenError, match="does not say how to split"):
        advice("steplaw_2025_batch", 1e21)
    with pytest.raises(ForetokenError, match="unknown published law"):
        advice("nobody_1999", 1e21)
