"""`foretoken downstream`: what it prints, its JSON, its file, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import foretoken as ft
from foretoken.errors import ForetokenError

from ..fuzz.verbs import foretoken, strict_json

TASK = {"group", "task", "metric", "shots", "params", "tokens", "flops", "score", "low", "high", "level", "route",
        "compute_factor", "reason", "routes"}  # fmt: skip


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    sizes = np.geomspace(1e8, 1e10, 10)
    scores = {"acc_copa": 55 + 3 * np.arange(10), "err_rte": 50 - 2.5 * np.arange(10)}
    path = tmp_path / "scores.csv"
    pd.DataFrame({"params": sizes, "tokens": 20 * sizes, **scores}).to_csv(path, index=False)
    return path


def test_json_has_the_keys_of_the_contract(csv: Path) -> None:
    told = strict_json(foretoken("downstream", csv, "--at", "20B,400B", "--at", "30B,600B", "--json"))
    assert len(told["tasks"]) == 4
    assert set(told["tasks"][0]) >= TASK
    assert all(0 <= one["low"] <= one["score"] <= one["high"] <= 1 for one in told["tasks"])
    assert {"code", "severity", "evidence", "cure"} == set(told["checks"][0])


def test_text_names_task_interval_and_route(csv: Path) -> None:
    told = foretoken("downstream", csv, "--at", "20B,400B", "--tasks", "rte")
    assert "rte, err" in told
    assert "copa" not in told.split("assumed")[0]
    assert "direct" in told


def test_the_result_is_written(csv: Path, tmp_path: Path) -> None:
    foretoken("downstream", csv, "--at", "20B,400B", "-o", tmp_path / "scores.json")
    assert json.loads((tmp_path / "scores.json").read_text())["tasks"][0]["task"] == "copa"


def test_a_plan_tells_the_scores_to_expect(csv: Path) -> None:
    plan = ft.plan("1e22", law="besiroglu_2024", scores=csv, tasks=["copa"])
    (score,) = plan.scores
    assert ft.plan("1e22", law="besiroglu_2024", scores=csv, tasks="copa").scores == plan.scores
    assert score.low is not None
    assert score.low < score.score < score.high
    assert plan.to_json()["scores"][0]["task"] == "copa"
    assert "copa, acc" in plan.summary()
    assert "What will it score?" in ft.page_of(plan)
    assert ft.plan("1e22", law="besiroglu_2024").scores == ()


def test_a_plan_reads_its_table_of_scores_by_other_names_and_in_part(csv: Path) -> None:
    plain = ft.plan("1e22", law="besiroglu_2024", scores=csv, tasks="copa").scores
    frame = pd.read_csv(csv).rename(columns={"tokens": "D"}).assign(kind="ours")
    frame = pd.concat([frame, frame.assign(kind="theirs", acc_copa=40)])
    named = {"rename": {"tokens": "D"}, "where": "kind=ours"}
    assert ft.plan("1e22", law="besiroglu_2024", scores=frame, tasks="copa", **named).scores == plain
    with pytest.raises(ForetokenError, match="table of scores alone"):
        ft.plan("1e22", law="besiroglu_2024", **named)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--at", "7B"), "PARAMS,TOKENS"),
        (("--at", "7B,many"), "tokens"),
        (("--at", "7B,140B", "--route", "sideways"), "--route"),
        (("--at", "7B,140B", "--tasks", "mmlu"), "mmlu"),
        (("--at", "7B,140B", "--route", "two_step"), "loss"),
        (("--at", "7B,140B", "--level", "2"), "level"),
        (("--at", "7B,140B", "--unit", "fraction"), "outside their bounds"),
    ],
)
def test_what_cannot_be_is_refused(csv: Path, words: tuple[str, ...], told: str) -> None:
    with pytest.raises(Exception, match=told):
        foretoken("downstream", csv, *words)
