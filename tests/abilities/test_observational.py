"""Scores by what models of many families have in common."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import foretoken as ft
from foretoken.abilities.observational import capability, imputed
from foretoken.errors import RefusedError

TASKS, FAMILIES = 8, 5


class World:
    """Families whose capability is a line in ln compute of one slope, and tasks that follow it by sigmoids."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.slope = self.random.uniform(0.6, 1.0)
        self.intercept = self.random.normal(0, 0.5, FAMILIES)
        self.middle, self.steep = self.random.normal(0, 1, TASKS), self.random.uniform(0.6, 1.6, TASKS)
        self.floor = self.random.choice([0, 0.25, 0.5], TASKS)

    def scores(self, family: int, flops: float) -> np.ndarray:
        ability = self.slope * np.log(flops / 1e21) / 2 + self.intercept[family] + self.random.normal(0, 0.12)
        p = self.floor + (1 - self.floor) / (1 + np.exp(-self.steep * (ability - self.middle)))
        return self.random.binomial(1000, p) / 1000

    def table(self) -> pd.DataFrame:
        rows = []
        for family in range(FAMILIES):
            for flops in 10 ** self.random.uniform(20, 22.5, 6):
                params = np.sqrt(flops / 120)
                scores = {f"acc_t{k}": score for k, score in enumerate(self.scores(family, flops))}
                rows.append({"family": f"f{family}", "params": params, "tokens": 20 * params, **scores})
        frame = pd.DataFrame(rows)
        return frame.mask(self.random.random(frame.shape) < 0.1 * frame.columns.str.startswith("acc_"))


def test_new_models_lie_inside():
    inside, flops = [], 10**23.0
    params = np.sqrt(flops / 120)
    for seed in range(3):
        world = World(seed)
        result = ft.downstream(world.table(), at=(params, 20 * params), route="observational")
        for family in range(FAMILIES):
            truth = world.scores(family, flops)
            for one in result.tasks:
                if one.group == f"f{family}":
                    score = truth[int(one.task[1:])]
                    assert 0 <= one.low <= one.score <= one.high <= 1
                    inside.append(one.low <= score <= one.high)
    assert np.mean(inside) > 0.8


def test_missing_scores_follow_the_first_component():
    ability = np.linspace(-1, 1, 12)
    whole = np.outer(ability, [0.1, 0.2, 0.3, 0.4]) + 0.7
    holes = whole.copy()
    holes[3, 1] = holes[8, 3] = np.nan
    assert imputed(holes) == pytest.approx(whole, abs=1e-3)
    value, share = capability(whole)
    assert share == pytest.approx(1)
    assert np.corrcoef(value, ability)[0, 1] > 0.999


def test_compute_is_counted_as_the_models_count_it():
    frame = World(0).table()
    twice = frame.assign(flops=12 * frame["params"] * frame["tokens"])
    one, other = (ft.downstream(table, at="7B,140B", route="observational") for table in (frame, twice))
    assert [task.score for task in other.tasks] == pytest.approx([task.score for task in one.tasks], abs=0.02)
    assert other.tasks[0].compute_factor == pytest.approx(one.tasks[0].compute_factor)


def test_too_few_tasks_are_refused():
    frame = World(0).table()[["family", "params", "tokens", "acc_t0", "acc_t1"]]
    with pytest.raises(RefusedError) as refused:
        ft.downstream(frame, at="7B,140B", route="observational")
    assert refused.value.code == "too_few_models"
