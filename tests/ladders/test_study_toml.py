"""A ladder as a study file: what it says is what the ladder says, and foretoken reads it."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from foretoken.errors import DesignError
from foretoken.ladders.ladder import Expected, IsoflopGrid, NextRun, OneMoreRun, PlannedRun, Stop, TargetRun
from foretoken.ladders.study_toml import STEEPEST, SWEEP, ladder_toml
from foretoken.runs.study_file import load_study

RUNS = [
    PlannedRun(1.2e7, 2.4e8, 6 * 1.2e7 * 2.4e8, seeds=1, learning_rates=1),
    PlannedRun(2.5e7, 5e8, 6 * 2.5e7 * 5e8, seeds=3, learning_rates=1),
    PlannedRun(6e7, 1.2e9, 6 * 6e7 * 1.2e9, seeds=1, learning_rates=3),
]
LADDER = NextRun(
    runs=RUNS,
    total_flops=sum(run.flops * run.seeds * run.learning_rates for run in RUNS),
    total_usd=None,
    total_usd_reason="no price",
    law="coupled",
    target=TargetRun(1e9, 2e10, 1.2e20),
    expected=Expected(None, "no fit", 0.01, 1e18),
    isoflop=IsoflopGrid(1e18, 0.02, None, "none"),
    stop=Stop(1e18, "", True, OneMoreRun(1e7, 2e8, 1e17, 1e16), []),
    checks=[],
    assumed=[],
)


def test_the_file_names_every_run_and_the_target() -> None:
    text = ladder_toml(LADDER)
    study = tomllib.loads(text)
    assert [(run["params"], run["tokens"]) for run in study["design"]["runs"]] == [
        (run.params, run.tokens) for run in RUNS
    ]
    assert [run.get("seeds", 1) for run in study["design"]["runs"]] == [1, 3, 1]
    assert study["target"]["compute_factor"] == pytest.approx(1.2e20 / RUNS[-1].flops, rel=1e-3)
    assert study["target"]["tokens_per_param"] == pytest.approx(20)
    assert study["target"]["train"] is False
    assert study["forecast"]["law"] == "coupled"
    assert f"{LADDER.total_flops / 1.2e20:.2%} of the target's" in text


def test_learning_rates_are_tried_around_the_rule() -> None:
    run = tomllib.loads(ladder_toml(LADDER))["design"]["runs"][2]
    assert run["learning_rate_factors"] == [1 / SWEEP, 1.0, SWEEP]


@pytest.mark.parametrize("name", ["next", "my-ladder"])
def test_the_file_is_a_study(name: str, tmp_path: Path) -> None:
    (tmp_path / "next.toml").write_text(ladder_toml(LADDER, name, context=512))
    study = load_study(tmp_path / "next.toml")
    assert study.name == name
    assert study.model.context == 512


def test_rules_go_through_the_target_and_follow_the_size_at_most_so_much() -> None:
    training = tomllib.loads(ladder_toml(LADDER))["training"]
    for rule in ("learning_rate", "batch_tokens"):
        assert abs(training[rule]["exponent"]) <= STEEPEST
        assert training[rule]["at_params"] == pytest.approx(1e9, rel=0.15)
    assert training["learning_rate"]["exponent"] < 0 < training["batch_tokens"]["exponent"]


def test_runs_of_the_targets_size_tell_no_slope() -> None:
    same = replace(LADDER, runs=[PlannedRun(1e9, 1e9, 6e18, seeds=1, learning_rates=1)])
    training = tomllib.loads(ladder_toml(same))["training"]
    assert training["learning_rate"]["exponent"] == 0.0
    assert training["batch_tokens"]["exponent"] == 0.0


def test_the_smallest_size_that_can_be_built_is_asked() -> None:
    tiny = replace(LADDER, runs=[PlannedRun(10.0, 1e8, 6e9, seeds=1, learning_rates=1), *RUNS])
    assert tomllib.loads(ladder_toml(tiny))["training"] == tomllib.loads(ladder_toml(LADDER))["training"]


def test_a_ladder_without_runs_or_without_sizes_that_can_be_built_is_refused() -> None:
    with pytest.raises(DesignError, match="no runs to write"):
        ladder_toml(replace(LADDER, runs=[]))
    with pytest.raises(DesignError, match="none of the ladder's sizes"):
        ladder_toml(replace(LADDER, runs=[PlannedRun(10.0, 1e8, 6e9, seeds=1, learning_rates=1)]))
