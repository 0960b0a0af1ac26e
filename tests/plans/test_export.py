"""Files of a plan: they parse, and say what the plan says."""

from __future__ import annotations

import itertools
import json
import tomllib
from dataclasses import replace

import pytest

from foretoken.errors import DesignError
from foretoken.plans import plan
from foretoken.plans.export import BUDGETS, FACTOR, RUN_BY, export_files, recipe_toml
from foretoken.plans.recipe import SETTLED
from foretoken.plans.result import Plan


@pytest.fixture(scope="module")
def decision() -> Plan:
    return plan("1e22", law="besiroglu_2024", count=64)


def test_the_study_is_the_plans_ladder(decision: Plan) -> None:
    study = tomllib.loads(export_files(decision)["planned.toml"])
    budgets = study["design"]["budgets"]
    assert len(budgets) == BUDGETS
    assert budgets[-1] == pytest.approx(decision.flops / FACTOR, rel=1e-3)
    assert [later / earlier for earlier, later in itertools.pairwise(budgets)] == pytest.approx(
        [2.0] * (BUDGETS - 1), rel=1e-3
    )
    assert study["target"]["compute_factor"] == FACTOR
    assert study["target"]["tokens_per_param"] == pytest.approx(decision.tokens / decision.params, rel=1e-3)
    assert sum(7 * budget for budget in budgets) / decision.flops < 0.06  # a ladder is a small share of its target


def test_the_training_of_the_study_is_the_recipes(decision: Plan) -> None:
    recipe = decision.recipe
    assert recipe is not None
    training = tomllib.loads(export_files(decision)["planned.toml"])["training"]
    assert training["learning_rate"]["value"] == pytest.approx(recipe.learning_rate.value, rel=1e-3)
    assert training["learning_rate"]["at_params"] == recipe.params_total
    assert training["batch_tokens"]["value"] == recipe.batch_tokens.value
    for name in ("schedule", "cooldown", "weight_decay", "beta1", "beta2", "clip"):
        assert training[name] == SETTLED[name][0]


def test_slopes_of_the_rules_are_those_that_are_asked(decision: Plan) -> None:
    assert decision.recipe is not None
    training = tomllib.loads(recipe_toml(decision.recipe, (-0.5, 0.25)))["training"]
    assert training["learning_rate"]["exponent"] == -0.5
    assert training["batch_tokens"]["exponent"] == 0.25


def test_the_config_is_the_shape(decision: Plan) -> None:
    assert decision.recipe is not None
    shape, config = decision.recipe.shape, json.loads(export_files(decision)["config.json"])
    assert config["model_type"] == "llama"
    expected = (shape.layers, shape.width, shape.heads, shape.feed_forward, shape.vocabulary, shape.context)
    names = (
        "num_hidden_layers",
        "hidden_size",
        "num_attention_heads",
        "intermediate_size",
        "vocab_size",
        "max_position_embeddings",
    )
    assert tuple(config[name] for name in names) == expected
    assert config["tie_word_embeddings"] is shape.tied


def test_every_file_says_what_runs_it(decision: Plan) -> None:
    assert set(export_files(decision)) == set(RUN_BY) == {"planned.toml", "config.json"}


def test_a_study_of_experts_has_the_plan_as_its_target() -> None:
    found = plan("1e22", law="ludziejewski_2025", experts=8)
    study = tomllib.loads(export_files(found)["planned.toml"])
    assert found.recipe is not None
    # D over all parameters, as a study counts them
    assert study["target"]["tokens_per_param"] == pytest.approx(found.tokens / found.recipe.params_total, rel=1e-3)


def test_a_plan_without_a_recipe_has_no_files(decision: Plan) -> None:
    with pytest.raises(DesignError, match="no recipe to write"):
        export_files(replace(decision, recipe=None, recipe_reason="too small"))
