from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.errors import ForetokenError, RefusedError
from foretoken.fits import fit
from foretoken.laws import CHINCHILLA
from foretoken.plans.constraints import Limits
from foretoken.plans.lifetime import Demand, Price, lifetime, quality_of, smaller
from foretoken.plans.loss_model import LossModel, fitted, published
from foretoken.plans.split import allocate
from foretoken.runs.table import RunTable

BESIROGLU, ROUNDED = published("besiroglu_2024"), published("hoffmann_2022_rounded")
SARDANA = LossModel(
    "as Sardana et al. used them",
    CHINCHILLA,
    CHINCHILLA.theta({"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.336, "beta": 0.283})[None],
)


@pytest.mark.parametrize(
    ("quality", "served", "params", "tokens"), [(30e9, 5e12, 16.4e9, 3.27e12), (70e9, 1e13, 41.6e9, 7.92e12)]
)
def test_the_samples_of_sardana_et_al(quality: float, served: float, params: float, tokens: float) -> None:
    """Sardana et al. 2023, arXiv 2401.00448: the quality of a 30B model at 5T tokens served, of 70B at 10T."""
    found = lifetime(SARDANA, quality_of(SARDANA, quality), Demand(served))
    assert (found.params, found.tokens) == pytest.approx((params, tokens), rel=0.01)


@pytest.mark.parametrize(
    ("share", "tokens", "overhead"), [(0.5, 2.42, 0.208), (0.25, None, 1.886), (0.75, None, 0.028)]
)
def test_the_overheads_of_de_vries(share: float, tokens: float | None, overhead: float) -> None:
    """de Vries 2023, "Go smol or go home": half the size takes 2.42 times the tokens, +20.8 %; a quarter +188 %."""
    for flops in (1e21, 5.76e23):  # it does not depend on compute
        found = smaller(ROUNDED, flops, share)
        assert found.overhead == pytest.approx(overhead, abs=0.001)
        assert tokens is None or found.tokens_factor == pytest.approx(tokens, abs=0.005)


@settings(deadline=None, max_examples=20)
@given(st.floats(1.9, 2.6), st.floats(9, 14))
def test_a_whole_life_wants_a_smaller_model_and_nothing_near_is_cheaper(loss: float, power: float) -> None:
    demand = Demand(10.0**power)
    found = lifetime(BESIROGLU, loss, demand)
    assert found.params <= found.cheapest_to_train.params
    assert found.training >= found.cheapest_to_train.training * (1 - 1e-9)
    assert 0 <= found.saved < 1
    assert float(BESIROGLU.loss(found.params, found.tokens)) == pytest.approx(loss, rel=1e-9)
    elasticity = 1 + demand.read / 3 / found.tokens
    step = 1e-4
    by_size, by_data = (
        float(BESIROGLU.loss(found.params * a, found.tokens * b)) - loss for a, b in ((1 + step, 1), (1, 1 + step))
    )
    # Sardana et al.: at the optimum the elasticities are as 1 + served / (3 trained) to 1
    assert by_size / by_data == pytest.approx(elasticity, rel=2e-3)


def test_without_demand_it_is_the_cheapest_to_train() -> None:
    best = allocate(BESIROGLU, 1e23)
    assert best.loss is not None
    found = lifetime(BESIROGLU, best.loss, Demand(0.0))
    assert (found.params, found.total, found.saved) == pytest.approx((best.params, 1e23, 0.0), rel=1e-6, abs=1e-9)


def test_dollars_and_energy_weigh_serving_by_its_utilisation() -> None:
    price = Price.of_hours(2.0, 1e15, training=0.4, reading=0.4, writing=0.1, unit="USD")
    found = lifetime(BESIROGLU, 2.0, Demand(1e12, 1e12), price)
    hours = 6 * found.params * found.tokens / (0.4 * 1e15) / 3600
    assert found.training == pytest.approx(2.0 * hours)
    assert found.serving == pytest.approx(2 * found.params * 1e12 * (1 / 0.4 + 1 / 0.1) / 1e15 / 3600 * 2.0)
    assert found.params < lifetime(BESIROGLU, 2.0, Demand(2e12)).params
    kwh = Price.of_hours(0.7, 1e15, training=0.4, reading=0.4, writing=0.1, unit="kWh")
    assert lifetime(BESIROGLU, 2.0, Demand(1e12, 1e12), kwh).params == pytest.approx(found.params)
    assert lifetime(BESIROGLU, 2.0, Demand(1e12, 1e12), kwh).unit == "kWh"


def test_a_smaller_model_pays_after_enough_tokens() -> None:
    found = smaller(BESIROGLU, 1e23, 0.6)
    assert found.pays_after is not None
    best = allocate(BESIROGLU, 1e23)
    costs = [
        1e23 * (1 + found.overhead) + 2 * 0.6 * best.params * found.pays_after,
        1e23 + 2 * best.params * found.pays_after,
    ]
    assert costs[0] == pytest.approx(costs[1])
    assert smaller(BESIROGLU, 1e23, 1.5).pays_after is None


def test_limits_hold_over_a_life_too() -> None:
    found = lifetime(BESIROGLU, 2.0, Demand(1e13), limits=Limits(sizes=(7e9, 30e9, 70e9)))
    assert found.params in (7e9, 30e9, 70e9)


def test_draws_give_intervals(ladder: Callable[..., RunTable]) -> None:
    source = fitted(fit(ladder(noise=0.003), draws=50))
    best = allocate(source, 1e13)
    assert best.loss is not None
    found = lifetime(source, best.loss, Demand(best.tokens))
    for name, value in (("params", found.params), ("saved", found.saved), ("total", found.total)):
        interval = found.intervals[name]
        assert interval is not None
        assert interval[0] < value < interval[1]


@pytest.mark.parametrize(
    "bad",
    [
        lambda: Demand(-1.0),
        lambda: Price(training=0.0),
        lambda: Price.of_hours(2.0, 1e15, training=1.2, reading=0.5, writing=0.5, unit="USD"),
        lambda: Price.of_hours(-2.0, 1e15, training=0.4, reading=0.5, writing=0.5, unit="USD"),
        lambda: lifetime(BESIROGLU, -2.0, Demand(1e12)),
        lambda: smaller(BESIROGLU, 1e23, 0.0),
        lambda: quality_of(BESIROGLU, 0.0),
    ],
)
def test_bad_input(bad: Callable[[], object]) -> None:
    with pytest.raises(ForetokenError):
        bad()


def test_what_cannot_be_reached_is_refused() -> None:
    with pytest.raises(RefusedError, match="loss_out_of_reach"):
        lifetime(BESIROGLU, 1.8, Demand(1e12))
    with pytest.raises(RefusedError, match="never reaches"):
        smaller(BESIROGLU, 1e23, 0.05)
