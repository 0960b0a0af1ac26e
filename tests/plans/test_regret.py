from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.errors import ForetokenError
from foretoken.fits import fit
from foretoken.plans.advice import advisers, alternatives
from foretoken.plans.constraints import Limits
from foretoken.plans.loss_model import fitted, published
from foretoken.plans.regret import band, regret, regrets
from foretoken.plans.split import allocate
from foretoken.runs.table import RunTable
from foretoken.store.read import read_table

Ladder = Callable[..., RunTable]
BESIROGLU = published("besiroglu_2024")
GOPHER = 5.76e23


@settings(deadline=None)
@given(st.floats(18, 26), st.floats(1e-5, 0.05))
def test_the_edges_of_the_band_have_the_tolerated_loss(power: float, tolerance: float) -> None:
    flops = 10.0**power
    found, best = band(BESIROGLU, flops, tolerance), allocate(BESIROGLU, flops)
    assert best.loss is not None
    assert found.params[0] < best.params < found.params[1]
    for params, tokens in zip(found.params, reversed(found.tokens), strict=True):
        assert 6 * params * tokens == pytest.approx(flops)
        assert float(BESIROGLU.loss(params, tokens)) / best.loss - 1 == pytest.approx(tolerance, rel=1e-6)


def test_a_limit_is_an_edge() -> None:
    found = band(BESIROGLU, GOPHER, limits=Limits(max_params=8e10))
    assert found.params[1] == pytest.approx(8e10)
    chosen = band(BESIROGLU, GOPHER, limits=Limits(sizes=(1e10, 5e10, 7e10, 1e11, 1e12)))
    assert chosen.sizes == [5e10, 7e10, 1e11]
    with pytest.raises(ForetokenError, match="tolerance"):
        band(BESIROGLU, GOPHER, 0.0)


@settings(deadline=None)
@given(st.floats(-2, 2))
def test_regret_is_not_negative_and_is_consistent(shift: float) -> None:
    best = allocate(BESIROGLU, GOPHER)
    params = best.params * np.exp(shift)
    found = regret(BESIROGLU, "other", params, GOPHER / 6 / params)
    assert found.regret_loss >= -1e-12
    assert found.regret_flops is not None
    back = allocate(BESIROGLU, GOPHER - found.regret_flops)
    assert back.loss == pytest.approx(found.loss, rel=1e-8)
    if found.more_flops is not None:
        longer = float(BESIROGLU.loss(params, (GOPHER + found.more_flops) / 6 / params))
        assert longer == pytest.approx(best.loss, rel=1e-9)


def test_a_size_too_small_for_the_best_loss_never_reaches_it() -> None:
    assert regret(BESIROGLU, "tiny", 1e9, GOPHER / 6e9).more_flops is None


def test_the_smallest_model_in_the_band_loses_what_is_tolerated() -> None:
    found = band(BESIROGLU, GOPHER, 0.001)
    lost = regret(BESIROGLU, "smallest", found.params[0], found.tokens[1])
    best = allocate(BESIROGLU, GOPHER)
    assert lost.regret_loss == pytest.approx(0.001 * (best.loss or 0.0), rel=1e-6)


def test_alternatives_have_names_and_spend_the_budget() -> None:
    found = alternatives(GOPHER, band=band(BESIROGLU, GOPHER), reference_size=7e9)
    assert {"reference size", "20 tokens per parameter", "smallest in the band", "llama3_2024"} <= set(found)
    assert set(advisers()) - set(found) == {"krajewski_2024"}
    for params, tokens in found.values():
        assert 6 * params * tokens == pytest.approx(GOPHER)
    told = {one.name: one for one in regrets(BESIROGLU, found)}
    assert told["besiroglu_2024"].regret_loss == pytest.approx(0, abs=1e-12)
    assert told["reference size"].regret_loss > told["20 tokens per parameter"].regret_loss > 0
    assert regrets(BESIROGLU, {}) == []
    with pytest.raises(ForetokenError, match="odd"):
        regrets(BESIROGLU, {"odd": (0.0, 1e9)})


def test_regret_in_the_draws_is_not_negative(ladder: Ladder) -> None:
    source = fitted(fit(ladder(noise=0.003), draws=60))
    best = allocate(source, 1e13)
    found = regret(source, "half", best.params / 2, best.tokens * 2)
    for interval in (found.regret_loss_interval, found.regret_flops_interval):
        assert interval is not None
        assert -1e-9 <= interval[0] <= interval[1]
    assert found.regret_loss_interval is not None
    assert found.regret_loss_interval[0] <= found.regret_loss <= found.regret_loss_interval[1]


@pytest.fixture(scope="module")
def chinchilla_points() -> Path:
    path = Path(__file__).parents[3] / "shared" / "data" / "scaling" / "chinchilla_epoch.csv"
    if not path.is_file():
        pytest.skip(f"the public run tables are not at {path.parent}")
    return path


@pytest.mark.parametrize(
    ("rows", "size", "low", "high", "by_map"),
    [(240, 73e9, 47e9, 114e9, 72.4e9), (245, 118e9, 74e9, 187e9, 72.3e9)],
    ids=["five points left out", "all points"],
)
def test_five_points_of_chinchilla_move_the_best_size_by_sixty_percent(
    chinchilla_points: Path, rows: int, size: float, low: float, high: float, by_map: float
) -> None:
    """Besiroglu et al. 2024 leave out the five points of largest loss; the plain Huber fit of all asks for 118B."""
    table = read_table(chinchilla_points)
    kept = table.frame.sort_values("loss").iloc[:rows]
    one = fit(RunTable(kept.reset_index(drop=True), "Chinchilla's points"), "chinchilla", draws=50)
    source = fitted(one, estimator="huber")
    assert allocate(source, GOPHER).params == pytest.approx(size, rel=0.03)
    assert band(source, GOPHER, 0.001).params == pytest.approx([low, high], rel=0.03)
    assert allocate(fitted(one), GOPHER).params == pytest.approx(by_map, rel=0.03)


@settings(deadline=None, max_examples=12)
@given(st.floats(20, 25))
def test_regret_is_nothing_at_the_best_size_and_grows_ever_faster_on_both_sides(power: float) -> None:
    best = allocate(BESIROGLU, 10**power)
    factors = [2.0**step for step in range(-4, 5)]
    splits = {f"{factor:g}": (factor * best.params, best.tokens / factor) for factor in factors}
    rows = regrets(BESIROGLU, splits)
    lost = [row.regret_loss for row in rows]
    assert lost[4] == pytest.approx(0.0, abs=1e-9)
    assert rows[4].regret_flops == 0.0
    steps = [after - before for before, after in pairwise(lost)]
    assert steps == sorted(steps)  # convex in ln N
    saved = [row.regret_flops or 0.0 for row in rows]
    assert saved[:5] == sorted(saved[:5], reverse=True)
    assert saved[4:] == sorted(saved[4:])


@settings(deadline=None, max_examples=12)
@given(st.floats(20, 25), st.floats(1e-4, 1e-2))
def test_a_wider_tolerance_holds_the_narrower_band(power: float, tolerance: float) -> None:
    narrow, wide = (band(BESIROGLU, 10**power, share) for share in (tolerance, 2 * tolerance))
    assert wide.params[0] < narrow.params[0] < narrow.params[1] < wide.params[1]
    for near in (narrow, wide):
        for params, tokens in zip(near.params, reversed(near.tokens), strict=True):
            assert 6 * params * tokens == pytest.approx(10**power)
            assert float(BESIROGLU.loss(params, tokens)) == pytest.approx(near.loss, rel=1e-9)
