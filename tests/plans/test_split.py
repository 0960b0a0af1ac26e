from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.errors import ForetokenError, RefusedError
from foretoken.fits import Fit, fit
from foretoken.laws import CHINCHILLA, LAWS, PUBLISHED
from foretoken.plans.constraints import Limits, usable_flops
from foretoken.plans.loss_model import fitted, published
from foretoken.plans.split import EXPONENT_SD, allocate, cheapest, split_sd
from foretoken.plans.split_search import best_split, budget_for, budgets_for, tokens_for
from foretoken.runs.table import RunTable

Ladder = Callable[..., RunTable]
BESIROGLU = published("besiroglu_2024")
budgets = st.floats(17, 27).map(lambda power: 10.0**power)
TRUTH = PUBLISHED["besiroglu_2024"].parameters
LOSS_LAWS = [name for name in PUBLISHED if published(name).predicts_loss]


@pytest.mark.parametrize("name", LOSS_LAWS)
def test_every_law_of_losses_splits_a_budget_and_nothing_near_is_better(name: str) -> None:
    source = published(name)
    found = allocate(source, 1e22)
    assert source.flops_per_param_token * found.params * found.tokens == pytest.approx(1e22)
    assert found.loss is not None
    sizes = found.params * np.geomspace(0.5, 2, 41)
    lengths = 1e22 / source.flops_per_param_token / sizes
    assert found.loss <= source.loss(sizes, lengths).min() + 1e-12


@settings(deadline=None)
@given(budgets)
def test_the_search_agrees_with_the_closed_form(flops: float) -> None:
    closed = allocate(BESIROGLU, flops)
    searched = allocate(BESIROGLU, flops, Limits(max_params=1e17))
    assert searched.params == pytest.approx(closed.params, rel=1e-6)
    assert searched.loss == pytest.approx(closed.loss, rel=1e-12)
    assert CHINCHILLA.optimum is not None
    assert CHINCHILLA.optimum(BESIROGLU.parameters, flops)[0] == pytest.approx(closed.params, rel=1e-6)


@settings(deadline=None)
@given(budgets)
def test_the_cheapest_way_to_the_least_loss_is_the_split_itself(flops: float) -> None:
    best = allocate(BESIROGLU, flops)
    assert best.loss is not None
    back = cheapest(BESIROGLU, best.loss)
    assert (back.flops, back.params) == pytest.approx((flops, best.params), rel=1e-6)


@settings(deadline=None)
@given(budgets, st.floats(0.05, 0.9))
def test_a_cap_binds_and_costs_loss(flops: float, share: float) -> None:
    free = allocate(BESIROGLU, flops)
    capped = allocate(BESIROGLU, flops, Limits(max_params=share * free.params))
    assert capped.params == pytest.approx(share * free.params)
    assert capped.binding == ["max_params"]
    assert capped.tokens == pytest.approx(flops / 6 / capped.params)
    assert capped.loss is not None
    assert free.loss is not None
    assert capped.loss > free.loss
    loose = allocate(BESIROGLU, flops, Limits(max_params=2 * free.params))
    assert loose.binding == []
    assert loose.params == pytest.approx(free.params, rel=1e-5)


@settings(deadline=None)
@given(budgets, st.floats(0.01, 0.9))
def test_few_tokens_make_a_larger_model(flops: float, share: float) -> None:
    free = allocate(BESIROGLU, flops)
    found = allocate(BESIROGLU, flops, Limits(max_tokens=share * free.tokens))
    assert found.tokens == pytest.approx(share * free.tokens, rel=1e-4)
    assert found.params == pytest.approx(free.params / share, rel=1e-4)


def test_a_budget_that_the_limits_cannot_use_up() -> None:
    found = allocate(BESIROGLU, 1e24, Limits(max_params=1e10, max_tokens=1e11))
    assert (found.params, found.tokens, found.flops) == pytest.approx((1e10, 1e11, 6e21))
    assert set(found.binding) == {"max_params", "max_tokens"}


def test_only_some_sizes_may_be_trained() -> None:
    sizes = (1e9, 7e9, 13e9, 70e9, 400e9)
    found = allocate(BESIROGLU, 5.76e23, Limits(sizes=sizes))
    losses = [float(BESIROGLU.loss(size, 5.76e23 / 6 / size)) for size in sizes]
    assert found.params == sizes[int(np.argmin(losses))] == 70e9
    assert found.binding == ["sizes"]
    assert cheapest(BESIROGLU, 2.0, Limits(sizes=(7e9,))).params == pytest.approx(7e9)


@settings(deadline=None, max_examples=25)
@given(st.floats(1.9, 3.0), st.floats(1e9, 1e12))
def test_cheapest_under_a_cap_reaches_the_loss(loss: float, cap: float) -> None:
    ultimate = float(BESIROGLU.loss(cap, 1e60))
    if ultimate >= loss * 0.999:
        return
    found = cheapest(BESIROGLU, loss, Limits(max_params=cap))
    assert float(BESIROGLU.loss(found.params, found.tokens)) == pytest.approx(loss, rel=1e-9)
    assert found.params <= cap * (1 + 1e-9)


def test_a_loss_below_the_floor_is_refused() -> None:
    with pytest.raises(RefusedError, match=r"1\.8172"):
        cheapest(BESIROGLU, 1.8)
    with pytest.raises(RefusedError, match="loss_out_of_reach"):
        cheapest(BESIROGLU, 2.0, Limits(max_params=1e9))
    assert budgets_for(BESIROGLU, np.array([1.8, 2.0]))[0] == math.inf


def test_tokens_for_a_loss() -> None:
    assert tokens_for(BESIROGLU, 7e9, float(BESIROGLU.loss(7e9, 3e11))) == pytest.approx(3e11)
    assert tokens_for(BESIROGLU, 7e9, 1.9) == math.inf


@pytest.mark.parametrize("name", ["llama3_2024", "deepseek_2024", "hoffmann_2022_approach1"])
def test_a_law_of_splits_gives_no_loss_and_says_so(name: str) -> None:
    found = allocate(published(name), 1e24)
    assert found.loss is None
    assert "not what loss" in (found.loss_reason or "")
    with pytest.raises(ForetokenError, match="does not give a loss"):
        allocate(published(name), 1e24, Limits(max_params=1e9))


@pytest.mark.parametrize("name", ["kaplan_2020_flops", "deepseek_2024_batch"])
def test_a_law_that_does_not_split_compute(name: str) -> None:
    with pytest.raises(ForetokenError, match="does not give a loss"):
        allocate(published(name), 1e24)


@pytest.mark.parametrize("flops", [0.0, -1.0, math.nan, math.inf])
def test_compute_that_is_none(flops: float) -> None:
    with pytest.raises(ForetokenError, match="compute"):
        allocate(BESIROGLU, flops)


def test_a_budget_too_small_or_too_large_for_any_model_is_refused() -> None:
    with pytest.raises(RefusedError, match="edge of the search"):
        allocate(BESIROGLU, 1e45)
    for limits in (Limits(), Limits(sizes=(1e9, 7e9)), Limits(min_params=1e9)):
        with pytest.raises(ForetokenError, match="smallest size"):
            allocate(BESIROGLU, 1e3, limits)


def test_unknown_names() -> None:
    with pytest.raises(ForetokenError, match="besiroglu_2024"):
        published("besiroglu")
    with pytest.raises(ForetokenError, match="does not read experts"):
        published("besiroglu_2024", experts=8.0)


# A user's fit


def test_a_fit_gives_intervals_that_hold_the_truth(ladder: Ladder) -> None:
    one = fit(ladder(noise=0.002), draws=100)
    found = allocate(fitted(one), 1e13)
    assert 6 * found.params * found.tokens == pytest.approx(1e13)
    ends = found.intervals["loss"]
    assert ends is not None
    assert found.loss is not None
    assert ends[0] < found.loss < ends[1]
    assert found.interval_reason is None
    truth = {"E": 0.7, "A": 30.0, "B": 200.0, "alpha": 0.4, "beta": 0.38}
    assert CHINCHILLA.optimum is not None
    size, length = CHINCHILLA.optimum(truth, 1e13)
    for name, value in (
        ("params", size),
        ("tokens", length),
        ("loss", CHINCHILLA.evaluate(truth, params=size, tokens=length)),
    ):
        interval = found.intervals[name]
        assert interval is not None
        assert interval[0] < float(value) < interval[1]
    assert found.extrapolation["flops"] == pytest.approx(1e13 / 2.4e12)


def test_the_estimators_and_levels_of_a_fit(ladder: Ladder) -> None:
    one = fit(ladder(noise=0.003), draws=60)
    assert allocate(fitted(one, estimator="huber"), 1e13).params != allocate(fitted(one), 1e13).params
    both = [allocate(fitted(one, estimator=name), 1e13).intervals["params"] for name in ("map", "huber")]
    assert both[0] != both[1]
    with pytest.raises(ForetokenError, match="does not give a loss"):
        allocate(fitted(fit(ladder(), "power", draws=50)), 1e13)
    narrow, wide = (allocate(fitted(one, level=level), 1e13).intervals["params"] for level in (0.5, 0.95))
    assert narrow is not None
    assert wide is not None
    assert wide[0] <= narrow[0] < narrow[1] <= wide[1]
    with pytest.raises(ForetokenError, match="estimator"):
        fitted(one, estimator="best")
    with pytest.raises(ForetokenError, match="level"):
        fitted(one, level=1.0)


def test_a_fit_counts_compute_as_its_runs_do(ladder: Ladder) -> None:
    table = ladder()
    frame = table.frame.assign(flops=2 * table.frame["flops"])
    source = fitted(fit(RunTable(frame, "doubled"), draws=50))
    assert source.flops_per_param_token == pytest.approx(12)
    found = allocate(source, 2e13)
    assert 12 * found.params * found.tokens == pytest.approx(2e13)
    assert any("12 FLOP per parameter" in said for said in source.assumed)


def test_published_laws_have_no_draws_and_say_so() -> None:
    found = allocate(BESIROGLU, 1e22)
    assert found.intervals["params"] is None
    assert "no draws" in (found.interval_reason or "")


def grid(counted: Callable[[np.ndarray], np.ndarray] = lambda params: params) -> RunTable:
    """An IsoFLOP grid of besiroglu_2024, whose table counts its parameters as `counted` does."""
    generator = np.random.default_rng(3)
    flops = np.repeat(np.geomspace(1e18, 1e20, 5), 7)
    n = CHINCHILLA.optimum(TRUTH, flops)[0] * np.tile(np.geomspace(1 / 8, 8, 7), 5)  # type: ignore[misc]
    d = flops / (6 * counted(n))
    loss = CHINCHILLA.evaluate(TRUTH, params=n, tokens=d) * np.exp(0.003 * generator.standard_normal(35))
    return RunTable(pd.DataFrame({"params_total": counted(n), "tokens": d, "flops": flops, "loss": loss}), "simulated")


def with_embeddings(params: np.ndarray) -> np.ndarray:
    """Parameters of blocks of this size and of two tables of 32 000 entries, at a width 64 times the depth."""
    return np.asarray(params + 2 * 32_000 * (64 * params / 12) ** (1 / 3))


@pytest.fixture(scope="module")
def own() -> Fit:
    return fit(grid(), draws=60)


def test_the_best_size_is_in_doubt_by_slope_error_over_curvature(own: Fit) -> None:
    one = replace(own, law="chinchilla", laws=[], map_parameters=TRUTH, noise=replace(own.noise, misfit_growth=0.002))
    model = replace(fitted(own), law=CHINCHILLA, theta=CHINCHILLA.theta(TRUTH)[None], fit=one)

    def by_hand(flops: float) -> tuple[float, float]:
        """The doubt, and slope error over curvature: the law's second derivative of ln loss at the best split."""
        params, tokens = map(float, CHINCHILLA.optimum(TRUTH, flops))  # type: ignore[misc]
        terms = np.array([TRUTH["A"] / params ** TRUTH["alpha"], TRUTH["B"] / tokens ** TRUTH["beta"]])
        curvature = terms @ [TRUTH["alpha"] ** 2, TRUTH["beta"] ** 2] / float(model.loss(params, tokens))
        return split_sd(model, params, tokens), math.sqrt(2) * 0.002 / float(curvature)

    sd, moved = by_hand(0.5e20)
    assert sd == pytest.approx(moved, rel=0.01)
    sd, moved = by_hand(1e22)
    assert sd == pytest.approx(math.hypot(moved, EXPONENT_SD * math.log(100)), rel=0.01)
    assert split_sd(published("besiroglu_2024"), 1e9, 2e10) == 0


def test_the_interval_of_the_best_size_is_never_nothing_and_widens_away_from_the_runs(own: Fit) -> None:
    # Without any spread of its draws it is still as wide as the law's misfit.
    certain = replace(fitted(own), theta=np.repeat(fitted(own).theta[:1], 3, axis=0))
    widths = []
    for flops in np.geomspace(1e20, 1e26, 7):
        low, high = allocate(certain, float(flops)).intervals["params"] or (1.0, 1.0)
        widths.append(math.log(high / low))
    assert widths[0] > 0.05
    assert widths == sorted(widths)


def test_the_exponent_of_the_best_size_is_in_doubt_as_published_ones_scatter() -> None:
    laws = [published(name) for name in PUBLISHED if LAWS[PUBLISHED[name].law].optimum]
    sizes = np.array([[allocate(law, flops).params for flops in (1e21, 1e23)] for law in laws])
    low, high = np.quantile(np.log(sizes[:, 1] / sizes[:, 0]) / math.log(100), [0.16, 0.84])
    assert pytest.approx((high - low) / 2, abs=0.01) == EXPONENT_SD


def test_laws_that_disagree_on_the_best_size_widen_its_interval(own: Fit) -> None:
    first, second, *others = own.laws
    off = {**second.parameters, "A": second.parameters["A"] * math.exp(0.5 * second.parameters["alpha"])}
    apart = fitted(
        replace(own, laws=[replace(first, weight=0.5), replace(second, weight=0.5, parameters=off), *others])
    )
    split = allocate(fitted(own), 1e22)
    assert split_sd(apart, split.params, split.tokens) > 1.02 * split_sd(fitted(own), split.params, split.tokens)
    # The other estimate is of one law.
    huber = replace(apart, estimator="huber")
    alone = fitted(replace(own, laws=[]))
    assert split_sd(huber, split.params, split.tokens) == split_sd(alone, split.params, split.tokens)


def test_the_best_size_is_held_where_the_table_counts_parameters_otherwise_than_the_law() -> None:
    """The draws alone are sure of a size that is too small by half."""
    model = fitted(fit(grid(with_embeddings), draws=60))
    blocks = np.geomspace(1e8, 1e12, 4001)
    sizes = with_embeddings(blocks)
    truth = float(sizes[CHINCHILLA.evaluate(TRUTH, params=blocks, tokens=1e22 / 6 / sizes).argmin()])
    drawn = model.interval(model.over_draws(lambda one: best_split(one, np.array([1e22]))[0][0]))
    low, high = allocate(model, 1e22).intervals["params"] or (0.0, 0.0)
    assert drawn is not None
    assert not drawn[0] < truth < drawn[1]
    assert low < truth < high < 10 * low


def test_limits_hold_the_interval_of_the_best_size_too(own: Fit) -> None:
    model = fitted(own)
    free = allocate(model, 1e22)
    low, high = free.intervals["params"] or (0.0, 0.0)
    # A cap inside the interval cuts it; one far below leaves nothing open.
    cut = allocate(model, 1e22, Limits(max_params=free.params)).intervals["params"]
    assert cut == pytest.approx([low, free.params], rel=1e-5)
    assert allocate(model, 1e22, Limits(max_params=low / 2)).intervals["params"] == pytest.approx([low / 2] * 2)
    short = allocate(model, 1e22, Limits(max_tokens=free.tokens)).intervals
    assert short["tokens"] == pytest.approx([1e22 / 6 / high, free.tokens], rel=1e-5)
    sizes = (low / 9, low * 1.01, free.params, high * 0.99)
    assert allocate(model, 1e22, Limits(sizes=sizes)).intervals["params"] == [sizes[1], sizes[3]]


# Limits and what is left of a budget


@pytest.mark.parametrize(
    "bad",
    [
        {"max_params": 0.0},
        {"min_params": -1.0},
        {"max_tokens": math.nan},
        {"sizes": (1e9, -1.0)},
        {"min_params": 1e10, "max_params": 1e9},
        {"sizes": (1e12,), "max_params": 1e9},
    ],
)
def test_limits_that_no_model_meets(bad: dict[str, float]) -> None:
    with pytest.raises(ForetokenError):
        Limits(**bad)  # type: ignore[arg-type]


def test_the_ladder_is_paid_first_and_the_deadline_caps_the_rest() -> None:
    assert usable_flops(1e24) == (1e24, [])
    left, said = usable_flops(1e24, ladder_flops=2e22)
    assert left == pytest.approx(9.8e23)
    assert "2.00%" in said[0]
    assert usable_flops(1e24, hours=720, flops_per_second=1e17)[0] == pytest.approx(720 * 3600 * 1e17)
    for bad in ({"ladder_flops": 1e24}, {"hours": 0.0}, {"flops_per_second": -1.0}):
        with pytest.raises(ForetokenError):
            usable_flops(1e24, **bad)


def test_budget_for_counts_serving() -> None:
    loss = 2.1
    plain, served = budget_for(BESIROGLU, loss), budget_for(BESIROGLU, loss, serving=2e12)
    assert served > plain
