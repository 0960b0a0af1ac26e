"""How well small runs rank recipes."""

from __future__ import annotations

import json
import time

import numpy as np
import pandas as pd
import pytest

from foretoken.decisions import decision_accuracy
from foretoken.decisions.accuracy import accuracy, reliability
from foretoken.errors import ForetokenError

from ..fuzz.verbs import silent
from .pairs import many


def test_recipes_far_apart_are_ranked_by_the_smallest_size() -> None:
    found = decision_accuracy(many(noise=0.0001), "recipe")
    assert found.recipes == [f"r{k}" for k in range(10)]
    assert [size.ranking.share for size in found.sizes] == [1.0] * 5
    assert found.sizes[-1].by_law is not None
    assert found.sizes[-1].by_law.share == 1.0
    assert [size.spent for size in found.sizes] == sorted(size.spent for size in found.sizes)


def test_noise_costs_decisions_and_is_allowed_for() -> None:
    found = decision_accuracy(many(noise=0.02), "recipe")
    last = found.sizes[-1]
    assert 0.5 < last.ranking.share < 1.0
    assert last.ranking.low <= last.ranking.share <= last.ranking.high
    assert last.says is not None
    assert abs(last.says - last.ranking.share) < 0.15
    assert found.ceiling is not None
    assert found.ceiling < 1.0
    assert json.dumps(found.to_json(), allow_nan=False)


def test_decisions_are_right_as_often_as_they_say() -> None:
    said, right = [], []
    for seed in range(30):
        g = np.random.default_rng(seed)
        size = np.geomspace(1e7, 1e9, 6)
        drift = np.cumsum(0.004 * g.standard_normal((12, 6)), axis=1) + 0.01 * g.standard_normal((12, 1))
        loss = (1.7 + 400 / size**0.34) * np.exp(drift + 0.003 * g.standard_normal((12, 6)))
        frame = pd.DataFrame({"recipe": np.repeat(np.arange(12), 6).astype(str), "params": np.tile(size, 12),
                              "tokens": np.tile(20 * size, 12), "loss": loss.ravel()})  # fmt: skip
        for one in decision_accuracy(frame, "recipe").reliability:
            said.append((one.says, one.pairs))
            right.append((one.right, one.pairs))
    means = [float(np.average(*np.array(values).T[:1], weights=np.array(values)[:, 1])) for values in (said, right)]
    assert means[0] == pytest.approx(means[1], abs=0.05)


def test_a_score_ranks_with_its_direction() -> None:
    up = decision_accuracy(many(noise=0.0001), "recipe", score="accuracy", better="higher")
    assert up.recipes[0] == "r0"
    assert up.sizes[-1].by_law is not None
    down = decision_accuracy(many(noise=0.0001).drop(columns="loss"), "recipe", score="accuracy", better="lower")
    assert down.recipes[0] == "r9"


@pytest.mark.parametrize("word", ["", "higher", "up", "max"])
def test_the_direction_of_a_score_is_its_names_or_is_said_in_any_usual_word(word: str) -> None:
    assert decision_accuracy(many(noise=0.0001), "recipe", score="accuracy", better=word).recipes[0] == "r0"


def test_the_column_of_the_loss_named_as_a_score_is_the_loss() -> None:
    assert decision_accuracy(many(), "recipe", score="loss") == decision_accuracy(many(), "recipe")


def test_ties_count_as_half() -> None:
    assert accuracy(np.array([1.0, 1.0]), np.array([2.0, 1.0]), 0.9).share == 0.5
    assert reliability(np.zeros(0), np.zeros(0)) == []


def test_few_recipes_are_a_doubt() -> None:
    found = decision_accuracy(many(recipes=3, seeds=1), "recipe")
    assert list(silent(found.to_json())) == []
    assert [check.code for check in found.checks] == ["few_recipes", "one_seed"]
    assert found.ceiling is None


@pytest.mark.parametrize(
    ("frame", "options", "said"),
    [
        (many(recipes=1), {}, "one_recipe"),
        (many().query("params < 2e7"), {}, "no_common_sizes"),
        (many().assign(elo=1.0), {"score": "elo"}, "not known of 'elo'"),
        (many(), {"better": "higher"}, "of a loss the lower one"),
        (many().assign(loss=np.nan), {}, "empty or NaN"),
        (many().head(0), {}, "holds no runs"),
        (many().assign(loss=3.0), {}, "all_alike"),
        (many(), {"score": "acuracy", "better": "higher"}, "accuracy"),
        (many(), {"better": "sideways"}, "higher or lower"),
        (many().assign(accuracy=np.inf), {"score": "accuracy", "better": "higher"}, "not_finite"),
        (many().assign(loss=-1.0), {}, "0 or below"),
        (many().assign(accuracy="71.2 percent"), {"score": "accuracy", "better": "higher"}, "text where numbers"),
    ],
)
def test_bad_tables_are_refused(frame: pd.DataFrame, options: dict[str, str], said: str) -> None:
    with pytest.raises(ForetokenError, match=said):
        decision_accuracy(frame, "recipe", **options)


def test_a_table_of_many_is_quick() -> None:
    began = time.process_time()
    decision_accuracy(many(recipes=25, seeds=3), "recipe")
    assert time.process_time() - began < 15


def test_runs_of_no_amount_of_compute_rank_nothing() -> None:
    """Their sum would be beyond any number."""
    sizes = np.geomspace(1e8, 1e10, 8)
    frame = pd.DataFrame({"params": sizes, "tokens": 20 * sizes, "flops": 1.2e308, "loss": 2.0, "recipe": "a"})
    with pytest.raises(ForetokenError) as refused:
        decision_accuracy(pd.concat([frame, frame.assign(recipe="b", loss=2.1)]), "recipe")
    assert refused.value.code == "no_common_sizes"
