"""Plans: from a wish to a split, a price, a recipe and the files that carry it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.compute.parameters import count_parameters
from foretoken.compute.proportions import Proportions, shape_of
from foretoken.errors import DesignError, ForetokenError
from foretoken.fits import fit
from foretoken.laws import CHINCHILLA, PUBLISHED
from foretoken.plans import plan
from foretoken.plans.constraints import Given
from foretoken.plans.export import export_files
from foretoken.plans.machines import usual_count
from foretoken.plans.recipe import recipe
from foretoken.runs.study_file import load_study
from foretoken.runs.table import RunTable

LAW = "besiroglu_2024"
TRUTH = PUBLISHED[LAW].parameters


def ladder(noise: float = 0.004) -> RunTable:
    generator = np.random.default_rng(0)
    flops = np.repeat(np.geomspace(1e18, 1e20, 5), 7)
    n = CHINCHILLA.optimum(TRUTH, flops)[0] * np.tile(np.geomspace(1 / 8, 8, 7), 5)
    d = flops / (6 * n)
    loss = CHINCHILLA.evaluate(TRUTH, params=n, tokens=d) * np.exp(noise * generator.standard_normal(35))
    return RunTable(pd.DataFrame({"params_total": n, "tokens": d, "flops": flops, "loss": loss}), "simulated")


@pytest.fixture(scope="module")
def own():
    return fit(ladder(), draws=100)


def test_chinchillas_budget_by_two_readings_of_its_law() -> None:
    """Tokens per parameter at 5.76e23 FLOP: Hoffmann et al. 2022 with all digits, and Besiroglu et al. 2024."""
    for law, ratio in (("hoffmann_2022_tex", 59), (LAW, 18.4)):
        found = plan("5.76e23", law=law)
        assert found.tokens / found.params == pytest.approx(ratio, rel=0.01)


def test_a_fit_gives_intervals_that_hold_the_truth(own) -> None:
    found = plan(1e22, fit=own)
    n, d = CHINCHILLA.optimum(TRUTH, 1e22)
    assert found.interval.params[0] < n < found.interval.params[1]
    assert found.interval.tokens[0] < d < found.interval.tokens[1]
    assert found.interval.loss[0] < found.loss < found.interval.loss[1]
    assert found.interval_reason is None
    assert found.extrapolation.flops == pytest.approx(100)
    assert {check.code for check in found.checks} >= {"far_extrapolation"}


def test_a_published_law_has_no_interval_and_says_so() -> None:
    found = plan(1e22, law=LAW)
    assert found.interval.params is found.interval.loss is None
    assert "no draws" in found.interval_reason
    assert {check.code for check in found.checks} >= {"no_interval", "borrowed_law"}


def test_a_law_of_splits_tells_no_loss_and_nothing_that_rests_on_it() -> None:
    found = plan(1e22, law="hoffmann_2022_approach1")
    assert found.loss is None
    assert found.band is None
    assert found.loss_reason == found.band_reason
    assert all(one.regret_loss is None and one.reason for one in found.alternatives)


@pytest.mark.parametrize(
    "wish",
    [
        {"compute": "1e22"},
        {"loss": 2.2},
        {"params": "7B"},
        {"tokens": "300B"},
        {"compute": "1e22", "params": "3B"},
        {"compute": "1e22", "tokens": "1T"},
        {"params": "7B", "tokens": "1T"},
        {"params": "7B", "loss": 2.1},
    ],
)
def test_what_is_given_is_kept_and_the_rest_agrees(wish: dict[str, object], own) -> None:
    for source in ({"law": LAW}, {"fit": own}):
        found = plan(**wish, **source)
        assert found.flops == pytest.approx(6 * found.params * found.tokens)
        for name, value in wish.items():
            told = {"compute": found.flops, "loss": found.loss, "params": found.params, "tokens": found.tokens}[name]
            number = {"7B": 7e9, "3B": 3e9, "300B": 3e11, "1T": 1e12}.get(value, value)
            assert told == pytest.approx(float(number), rel=1e-6)


def test_a_loss_and_its_cheapest_budget_lead_to_each_other() -> None:
    there = plan(loss=2.1, law=LAW)
    back = plan(there.flops, law=LAW)
    assert back.loss == pytest.approx(2.1)
    assert back.params == pytest.approx(there.params, rel=1e-3)


def test_regrets_are_priced_like_the_plan() -> None:
    found = plan("512 H100 for 30 days", law=LAW, reference_size="7B")
    (mine,) = (one for one in found.alternatives if one.name == "reference size")
    share = mine.regret_flops / found.flops
    assert 0 < share < 1
    assert mine.regret_usd == pytest.approx(share * found.cost.usd)
    assert mine.regret_days == pytest.approx(30 * share)
    assert mine.regret_loss > 0
    assert all(one.regret_loss >= -1e-9 for one in found.alternatives)


def test_the_band_ends_where_the_loss_is_a_tolerance_above_the_best() -> None:
    found = plan(1e23, law=LAW, tolerance=0.002)
    for n, d in zip(found.band.params, reversed(found.band.tokens), strict=True):
        assert float(CHINCHILLA.evaluate(TRUTH, params=n, tokens=d)) == pytest.approx(1.002 * found.loss, rel=1e-6)


def test_a_deadline_caps_the_compute_and_is_said() -> None:
    found = plan("1e24", law=LAW, deadline="10 days", accelerator="H100", count=512)
    assert found.cost.days == pytest.approx(10)
    assert any("deadline" in text for text in found.binding)
    with pytest.raises(ForetokenError, match=r"missed by a factor 1\.58"):
        plan(params="70B", law=LAW, deadline="10 days", accelerator="H100", count=1000)
    with pytest.raises(ForetokenError, match="number of accelerators"):
        plan("1e24", law=LAW, deadline="10 days")


def test_the_ladder_is_paid_first() -> None:
    assert plan("1e22", law=LAW, ladder="1e21").flops == pytest.approx(9e21)
    with pytest.raises(ForetokenError):
        plan("1e22", law=LAW, ladder="1e22")


def test_serving_makes_models_smaller_and_latency_caps_them() -> None:
    plain, served = plan("1e24", law=LAW), plan("1e24", law=LAW, serve="1e13")
    assert served.lifetime.params < plain.params
    assert served.lifetime.loss == pytest.approx(served.loss)
    capped = plan("1e24", law=LAW, latency="10 ms", accelerator="H100")
    assert capped.binding == ["max_params"]
    assert capped.params == pytest.approx(0.01 * 3.35e12 / 2, rel=1e-3)  # all weights read once per token, 3.35 TB/s


def test_few_distinct_tokens_cost_loss_and_are_repeated() -> None:
    fresh, scarce = plan("1e24", law=LAW), plan("1e24", law=LAW, unique="2e11")
    assert scarce.loss > fresh.loss
    assert scarce.epochs > 4
    assert scarce.repetition.epochs == pytest.approx(scarce.epochs)
    assert "many_epochs" in {check.code for check in scarce.checks}


def test_a_given_size_shows_its_own_regret_and_keeps_to_limits() -> None:
    found = plan("1e23", law=LAW, params="7B")
    (mine,) = (one for one in found.alternatives if one.name == "this plan")
    assert mine.regret_loss == pytest.approx(found.loss - plan("1e23", law=LAW).loss)
    with pytest.raises(ForetokenError, match="keep to the limits"):
        plan("1e23", law=LAW, params="70B", max_params="7B")


def test_what_is_said_twice_must_agree() -> None:
    for asked in ({"accelerator": "A100"}, {"count": 64}):
        with pytest.raises(ForetokenError, match="names its own"):
            plan("512 H100 for 30 days", law=LAW, **asked)
    same = plan("512 H100 for 30 days", law=LAW, accelerator="H100", count=512)
    assert same.cost.days == pytest.approx(30)
    both = plan("1e24", law=LAW, ladder="1e22", deadline="30 days", accelerator="H100", count=256)
    assert any("ladder takes" in text for text in both.assumed)
    for asked in ({"loss": 2.0, "ladder": "1e22"}, {"compute": "1e23", "level": 5.0}):
        with pytest.raises(ForetokenError):
            plan(law=LAW, **asked)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "starts from"),
        ({"compute": "5 H100"}, "without a time"),
        ({"compute": "7 H1OO for 3 days"}, "H100"),
        ({"compute": "1e9"}, "smallest sensible"),
        ({"compute": "-1e24"}, "above 0"),
        ({"compute": "1e24", "mfu": 1.5}, "mfu"),
        ({"compute": "1e24", "accelerator": "H100", "usd_per_hour": -2.0}, "usd_per_hour"),
        ({"compute": "1e24", "params": "7B", "tokens": "1T"}, "one of them, or two"),
        ({"loss": 1.5}, "1.8172"),
        ({"loss": 2.0, "tokens": "1T"}, "do not make a plan"),
        ({"compute": "1e24", "max_params": "1", "sizes": ["7B"]}, "no size"),
        ({"compute": "1e24", "tolerance": 0.0}, "tolerance"),
        ({"params": "7B", "loss": 1.9}, "no number of tokens"),
    ],
)
def test_what_cannot_be_planned_is_refused_in_words(asked: dict[str, object], message: str) -> None:
    with pytest.raises(ForetokenError, match=message):
        plan(**asked, law=LAW)


def test_losses_come_from_one_place() -> None:
    for both in ({}, {"law": LAW, "fit": "fit.json"}):
        with pytest.raises(ForetokenError, match="published law or from your fit"):
            plan("1e22", **both)
    with pytest.raises(ForetokenError, match="unknown published law"):
        plan("1e22", law="besiroglu")


@settings(max_examples=60, deadline=None)
@given(st.floats(5.0, 12.5), st.sampled_from([1, 2, 4, 8]), st.sampled_from([1, 2, 4]))
def test_shapes_have_their_size_and_divide(log_params: float, tensor: int, pipeline: int) -> None:
    small = log_params < 7.5
    like = Proportions(vocabulary=256 if small else 32_000, context=512, tied=small)
    if log_params > 9.5:
        like = replace(like, tensor_parallel=tensor, pipeline=pipeline)
    shape = shape_of(10**log_params, like)
    assert abs(count_parameters(shape).total / 10**log_params - 1) < 0.15
    assert shape.heads % like.tensor_parallel == 0
    assert shape.feed_forward % like.tensor_parallel == 0
    assert shape.layers % like.pipeline == 0


def test_sizes_of_llama_get_its_shapes() -> None:
    """LLaMA (arXiv 2302.13971), table 2: 6.7B, 13.0B and 32.5B."""
    for params, layers, width, heads in ((6.7e9, 32, 4096, 32), (13.0e9, 40, 5120, 40), (32.5e9, 60, 6656, 52)):
        found = shape_of(params)
        assert (found.layers, found.width, found.heads) == (layers, width, heads)
    with pytest.raises(DesignError, match="no decoder"):
        shape_of(1e6)


def test_a_recipe_lies_within_what_the_laws_say_and_names_them() -> None:
    found = recipe(7e9, 1.4e11, 2.2, sequences=64)
    for setting in (found.batch_tokens, found.learning_rate):
        assert setting.spread[0] <= setting.value <= setting.spread[1]
        assert len(setting.laws) >= 3
        assert all(law.source for law in setting.laws)
    assert found.batch_tokens.value % (64 * 4096) == 0
    assert found.tokens == found.steps * found.batch_tokens.value
    assert found.warmup_tokens.value <= 0.021 * found.tokens
    short = recipe(1e8, 1e7)
    assert short.steps >= 2
    assert "held at" in short.batch_tokens.note


def test_the_files_of_a_plan_are_read_by_what_they_are_for(tmp_path: Path) -> None:
    found = plan("1e22", law=LAW, accelerator="H100", count=64)
    files = export_files(found)
    (tmp_path / "planned.toml").write_text(files["planned.toml"])
    study = load_study(tmp_path / "planned.toml")
    assert study.target.compute_factor * max(study.design.budgets) == pytest.approx(found.flops, rel=1e-3)
    assert study.target.tokens_per_param == pytest.approx(found.tokens / found.params, rel=1e-3)
    assert json.loads(files["config.json"])["hidden_size"] == found.recipe.shape.width


def test_a_config_for_transformers_builds_the_planned_model() -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed (extra `bench`)")
    torch = pytest.importorskip("torch", reason="torch is not installed (extra `train`)")
    found = plan("1e21", law=LAW)
    config = transformers.LlamaConfig(**json.loads(export_files(found)["config.json"]))
    with torch.device("meta"):
        model = transformers.LlamaForCausalLM(config)
    assert sum(weight.numel() for weight in model.parameters()) == found.recipe.params_total


def test_a_plan_is_plain_json(own) -> None:
    for source in ({"law": LAW}, {"fit": own}, {"law": "hoffmann_2022_approach2"}):
        json.dumps(plan("1e22", **source).to_json(), allow_nan=False)


def test_the_usual_number_of_accelerators_takes_at_most_a_month() -> None:
    assert usual_count(1.0) == 1
    assert usual_count(721.0) == 2


def test_a_wish_knows_what_it_fixes() -> None:
    assert Given(flops=1e20, params=1e9).fixed == "params"


def test_a_plan_tells_which_abilities_its_compute_reaches_and_warns() -> None:
    told = plan("1e23", law=LAW).to_json()
    reached = [row["ability"] for row in told["abilities"] if row["reached"]]
    assert len(told["abilities"]) == 22
    assert len(reached) == 6
    assert "3-digit addition and subtraction" in reached
    assert {"ability", "flops", "params", "model", "reached"} == set(told["abilities"][0])
    assert any("not ability" in words for words in told["abilities_careful"])
    assert all(row.reached for row in plan("1e25", law=LAW).abilities)
    assert not any(row.reached for row in plan("1e19", law=LAW).abilities)


def test_the_carbon_of_a_plan_is_told_in_kilometres_or_not_known_for_a_reason() -> None:
    cost = plan("1e23", law=LAW, accelerator="A100").to_json()["cost"]
    assert cost["equivalents"]["car_km"] == pytest.approx(cost["tco2e"] * 1000 / 0.12)
    unknown = plan("1e20", law=LAW, accelerator="TPU v5e").to_json()["cost"]
    assert (unknown["tco2e"], unknown["equivalents"]) == (None, None)
    assert unknown["equivalents_reason"] == unknown["kwh_reason"]


def test_a_plan_takes_its_text_in_hours_of_speech() -> None:
    found = plan("1e21", law=LAW, unique="1M hours of speech")
    assert found.limits.unique_tokens == 12e9
    assert any("150 words a minute" in words for words in found.assumed)


def test_the_machines_that_serve_a_plan_are_priced_by_the_year_or_not_for_a_reason() -> None:
    serving = plan(params=174.6e9, tokens=3e11, law=LAW, accelerator="V100").to_json()["serving"]
    assert serving["usd_per_year"] == pytest.approx(serving["count"] * 1.5 * 8766)
    unknown = plan("1e23", law=LAW, accelerator="TPU v4").to_json()["serving"]
    assert unknown["usd_per_year"] is None
    assert unknown["usd_per_year_reason"] == unknown["usd_per_million_reason"]
