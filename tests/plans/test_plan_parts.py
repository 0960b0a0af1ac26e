"""Parts of a plan: experts, the whole life, a layout and a recipe that fit, limits, and a reason beside every null."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.compute.families import FAMILIES
from foretoken.compute.machine import machine
from foretoken.compute.parameters import count_parameters
from foretoken.compute.proportions import Proportions, shape_of
from foretoken.errors import ForetokenError
from foretoken.fits import fit
from foretoken.laws import CHINCHILLA, PUBLISHED
from foretoken.plans import plan
from foretoken.plans.experts import Experts, mixtures
from foretoken.plans.export import export_files
from foretoken.plans.lifecycle_cost import uses
from foretoken.plans.lifetime import Demand, Price, lifetime, lifetimes
from foretoken.plans.loss_model import FEW, fitted, published
from foretoken.plans.machines import holding_count
from foretoken.plans.repetition import with_unique
from foretoken.runs.study_file import load_study
from foretoken.runs.table import RunTable

from ..fuzz.verbs import silent

LAW, MIXED = "besiroglu_2024", "ludziejewski_2025"


@pytest.fixture(scope="module")
def own():
    generator, truth = np.random.default_rng(1), PUBLISHED[LAW].parameters
    flops = np.repeat(np.geomspace(1e18, 1e20, 5), 7)
    n = CHINCHILLA.optimum(truth, flops)[0] * np.tile(np.geomspace(1 / 8, 8, 7), 5)
    loss = CHINCHILLA.evaluate(truth, params=n, tokens=flops / 6 / n) * np.exp(0.004 * generator.standard_normal(35))
    frame = pd.DataFrame({"params_total": n, "tokens": flops / 6 / n, "flops": flops, "loss": loss})
    return fit(RunTable(frame, "simulated"), draws=50)


@pytest.mark.parametrize(
    "asked",
    [
        {"compute": "1e22", "law": LAW},
        {"compute": "1e22", "law": "hoffmann_2022_approach2", "serve": "1T"},
        {"params": "7B", "law": LAW, "unique": "1e12"},
        {"compute": "1e21", "law": MIXED, "experts": 8, "serve": "1T"},
        {"compute": "$2M of TPU v3 chip", "law": LAW, "serve": "1T", "unique": "1e11"},
        {"compute": "1e14", "fit": "own"},
        {"params": "1B", "tokens": "20B", "fit": "own", "write": "1e12"},
        {"loss": 2.2, "fit": "own", "unique": "1e12"},
    ],
    ids=str,
)
def test_beside_every_null_stands_its_reason(asked: dict[str, Any], own) -> None:
    asked = asked | ({"fit": own} if "fit" in asked else {})
    told = plan(**asked).to_json()
    assert list(silent(told)) == []
    json.dumps(told, allow_nan=False)


def test_experts_take_loss_off_and_are_counted() -> None:
    found = plan("1e21", law=MIXED, experts=8)
    dense = plan("1e21", law=MIXED)
    mixed = found.experts
    assert mixed.loss_gain == pytest.approx(dense.loss - found.loss)
    assert mixed.loss_gain > 0
    eight = next(one for one in mixed.equal_compute if one.experts == 8)
    assert (eight.active_params, eight.total_params) == (found.params, mixed.total_params)
    assert (eight.loss, eight.gain) == pytest.approx((found.loss, mixed.loss_gain))
    assert all(one.total_params <= mixed.max_total * (1 + 1e-9) for one in mixed.equal_memory)
    counted = count_parameters(found.recipe.shape)
    assert found.recipe.params_total == counted.total
    # one pair of numbers: of the plan, of its experts, and of the network that the files are of
    assert (counted.active, counted.total) == (found.params, mixed.total_params)
    assert (found.recipe.params_active, mixed.active_params) == (found.params, found.params)
    (best,) = mixtures(found.flops, counts=(8,))
    assert 0 <= found.loss - best.loss < 1e-3
    assert dense.experts is None
    assert "--experts" in dense.experts_reason


def test_several_active_experts_are_read_as_one_wide_one_and_that_is_said() -> None:
    two, four = plan("1e21", law=MIXED, experts=8, active=2), plan("1e21", law=MIXED, experts=4)
    # the law reads them alike; the networks of the two are not of quite one size
    assert (two.params, two.loss) == (pytest.approx(four.params, rel=0.15), pytest.approx(four.loss, rel=1e-3))
    assert any("2 of 8 experts are read as 1 of 4" in said for said in two.assumed)
    assert plan("1e21", law=MIXED, experts=64).extrapolation.experts == 2


def test_at_equal_memory_a_mixture_keeps_to_it() -> None:
    found = plan("1e21", law=MIXED, experts=8, max_total="5.7B")
    assert found.params * Experts(8).total_per_active == pytest.approx(5.7e9)
    assert "max_params" in found.binding
    served = plan("1e24", law=MIXED, experts=8, serve_on=1)
    assert served.params * Experts(8).total_per_active == pytest.approx(0.8 * 80e9 / 2, rel=1e-6)


def test_the_whole_life_is_told_in_flop_dollars_and_energy() -> None:
    found = plan("1e23", law=LAW, serve="1e12", write="1e12")
    life = found.whole_life
    assert [one.unit for one in (life.flop, life.usd, life.kwh)] == ["FLOP", "USD", "kWh"]
    # the same machine trains and serves: dollars and energy are both hours
    assert (life.usd.params, life.usd.saved) == pytest.approx((life.kwh.params, life.kwh.saved))
    # writing reaches less of the peak than training: dollars want a smaller model than FLOP
    assert life.usd.params < life.flop.params < found.params
    assert life.usd.cheapest_to_train.training == pytest.approx(found.cost.usd)
    assert life.kwh.cheapest_to_train.training == pytest.approx(found.cost.kwh)
    half, _ = life.smaller
    assert half.usd == pytest.approx(half.overhead * found.cost.usd)


def test_another_machine_to_serve_on_moves_dollars_and_energy_apart() -> None:
    life = plan("1e23", law=LAW, serve="1e13", accelerator="H100", serve_accelerator="A100").whole_life
    assert life.usd.params != pytest.approx(life.kwh.params, rel=1e-3)
    told = plan("1e23", law=LAW, serve="1e13", accelerator="H100", serve_accelerator="L40S").whole_life
    assert told.usd is None
    assert "L40S" in told.usd_reason
    assert told.kwh is not None


def test_more_requests_at_once_write_cheaper() -> None:
    used = machine("H100")
    shares = [uses(used, batch).writing.value for batch in (1, 32, 10_000)]
    assert shares == sorted(shares)
    assert shares[-1] == used.value("mfu")
    assert shares[0] == pytest.approx(3.35e12 / 989e12, rel=0.01)  # bandwidth over peak
    with pytest.raises(ForetokenError, match="at least 1"):
        uses(used, 0)


@settings(max_examples=12, deadline=None)
@given(st.floats(0.05, 20), st.floats(0.05, 20))
def test_several_prices_at_once_are_each_alone(reading: float, writing: float) -> None:
    source, demand = published(LAW), Demand(1e12, 2e11)
    prices = [Price(), Price(1, reading, writing, "a"), Price(3, 3 * reading, 3 * writing, "b")]
    told = lifetimes(source, 2.1, demand, prices)
    alone = [lifetime(source, 2.1, demand, price) for price in prices]
    assert [one.params for one in told] == pytest.approx([one.params for one in alone])
    assert told[2].total == pytest.approx(3 * told[1].total)


@settings(max_examples=10, deadline=None)
@given(st.floats(22.5, 25.5), st.sampled_from([64, 256, 1024, 4096]))
def test_layout_and_recipe_fit_each_other(power: float, count: int) -> None:
    found = plan(10**power, law=LAW, count=max(count, 2 ** round(3.3 * (power - 21))))
    shape, layout = found.recipe.shape, found.layout
    cut = layout.split
    assert shape.layers % cut.pipeline == 0
    assert shape.heads % cut.tensor == 0
    assert shape.feed_forward % cut.tensor == 0
    assert layout.batch_tokens == found.recipe.batch_tokens.value
    assert layout.micro_batches * layout.micro_batch * cut.data * shape.context == layout.batch_tokens


def test_machines_that_nobody_counted_hold_the_model() -> None:
    found = plan(params="70B", tokens="1B", law=LAW)
    assert found.layout is not None
    assert found.cost.count >= holding_count(7e10, machine("H100"))


def test_a_given_size_tells_what_other_lengths_lose(own) -> None:
    found = plan(params="7B", fit=own)
    middle = next(one for one in found.choices if one.tokens == found.tokens)
    assert middle.regret_loss == 0
    lost = [one.regret_loss for one in found.choices]
    assert min(lost) == 0
    assert lost[-1] == max(lost)
    assert all(one.loss_interval[0] < one.loss < one.loss_interval[1] for one in found.choices)
    assert {one.tokens for one in plan(tokens="1T", fit=own).choices} == {1e12}
    assert plan("1e22", law=LAW).choices is None


def test_what_the_limits_were_is_told() -> None:
    found = plan("1e23", law=LAW, max_params="12B", unique="1e12", max_epochs=1)
    assert found.limits.to_json() == {"max_params": 1.2e10, "max_tokens": 1e12, "unique_tokens": 1e12}
    assert plan("1e23", law=LAW).limits.to_json() == {}


@pytest.mark.parametrize("family", [name for name, record in FAMILIES.items() if record.preset])
def test_every_family_gets_a_shape_of_its_size_and_a_study(family: str, own, tmp_path: Path) -> None:
    shape = shape_of(3e8, Proportions(family=family, context=512))
    assert shape.family == family
    assert count_parameters(shape).total == pytest.approx(3e8, rel=0.15)
    found = plan("1e22", fit=own, family=family)
    assert found.recipe.shape.family == family
    (tmp_path / "planned.toml").write_text(export_files(found)["planned.toml"])
    assert load_study(tmp_path / "planned.toml").model.preset == FAMILIES[family].preset
    assert (found.layout is None) == (family == "encoder_decoder")


def test_files_of_a_mixture(tmp_path: Path) -> None:
    found = plan("1e21", law=MIXED, experts=8, active=2)
    files = export_files(found)
    config = json.loads(files["config.json"])
    assert config["architectures"] == ["MixtralForCausalLM"]
    assert (config["num_local_experts"], config["num_experts_per_tok"]) == (8, 2)
    (tmp_path / "planned.toml").write_text(files["planned.toml"])
    model = load_study(tmp_path / "planned.toml").model
    assert (model.experts, model.active_experts) == (8, 2)
    assert model.expert_width_ratio == pytest.approx(0.5, rel=0.1)


def test_thinned_draws_keep_the_best_and_their_order(own) -> None:
    source = fitted(own)
    assert source.subsample(FEW) is source
    few = source.subsample(10)
    assert np.array_equal(few.theta, source.theta[[0, *range(1, 51, 5)]])
    scarce = with_unique(source, 1e11).subsample(10)
    assert len(scarce.repetition.base_params) == len(scarce.theta) == 11
