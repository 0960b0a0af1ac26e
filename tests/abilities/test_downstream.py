"""Scores of runs that were not trained."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import foretoken as ft
from foretoken.abilities.downstream_result import Downstream, TaskForecast
from foretoken.abilities.table import ScoreReading
from foretoken.errors import ForetokenError, RefusedError, TableError

from ..fuzz.verbs import silent

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
from downstream import published_errors


def runs(
    seed: int = 0, *, percent: bool = False, noise: float = 0.006, sizes: tuple[float, ...] = (1e7, 3e7, 1e8, 3e8, 1e9)
) -> pd.DataFrame:
    """Runs of a law of the loss, with a task that rises in loss, one at chance, and the error of the first."""
    random = np.random.default_rng(seed)
    rows = []
    for params in sizes:
        for ratio in (10, 20, 40, 80):
            loss = (1.7 + 400 / params**0.34 + 900 / (ratio * params) ** 0.33) * np.exp(
                0.004 * random.standard_normal()
            )
            rows.append({"params": params, "tokens": ratio * params, "loss": loss})
    frame = pd.DataFrame(rows)
    score = task(frame["loss"].to_numpy()) + noise * random.standard_normal(len(frame))
    unit = 100 if percent else 1
    return frame.assign(
        acc_hellaswag=unit * np.clip(score, 0, 1),
        err_arc_easy=unit * np.clip(1 - score, 0, 1),
        acc_winogrande=unit * (0.5 + 0.012 * random.standard_normal(len(frame))),
    )


def task(loss: np.ndarray) -> np.ndarray:
    return 0.25 + 0.7 / (1 + np.exp(3.0 * (loss - 2.6)))


def of(result: Downstream, name: str) -> TaskForecast:
    return next(one for one in result.tasks if one.task == name)


@pytest.fixture(scope="module")
def forecast() -> Downstream:
    return ft.downstream(runs(), at="7B,140B")


def test_the_interval_holds_the_truth_and_stays_within_its_bounds(forecast):
    truth = float(task(np.array([1.7 + 400 / 7e9**0.34 + 900 / 140e9**0.33]))[0])
    found = of(forecast, "hellaswag")
    assert 0 <= found.low < found.score < found.high <= 1
    assert found.low < truth < found.high
    assert found.high - found.low < 0.35


def test_an_error_is_the_same_forecast_the_other_way_round(forecast):
    up, down = of(forecast, "hellaswag"), of(forecast, "arc_easy")
    assert down.metric == "err"
    assert down.score == pytest.approx(1 - up.score, abs=0.02)
    assert down.low < down.score < down.high


def test_a_task_at_chance_is_flagged_and_no_other_is(forecast):
    assert "luck" in of(forecast, "winogrande").reason
    assert of(forecast, "hellaswag").reason == ""
    (check,) = (check for check in forecast.checks if check.code == "at_chance")
    assert check.is_doubt
    assert "winogrande" in check.evidence


def test_routes_are_weighed_by_runs_held_out(forecast):
    routes = of(forecast, "hellaswag").routes
    assert {one.route for one in routes} == {"two_step_sigmoid", "two_step_exponential", "direct"}
    assert sum(one.weight for one in routes) == pytest.approx(1)
    assert all(one.held_out_error is not None and one.held_out_error < 0.2 for one in routes)
    best = min(routes, key=lambda one: one.held_out_error)
    assert best.weight > 1 / 6


def test_each_held_out_score_is_there_once_and_has_no_say_in_its_own_forecast():
    frame = runs().assign(run=[f"r{number}" for number in range(20)])
    wrong = frame.assign(acc_hellaswag=frame["acc_hellaswag"].where(frame["run"] != "r19", 0.01))
    before, after = (ft.downstream(table, at="7B,140B").held_out for table in (frame, wrong))
    named = [(one.run, one.task) for one in before]
    assert len(named) == len(set(named)) == 30  # the upper half of the runs, on three tasks
    (changed,) = ((one, other) for one, other in zip(before, after, strict=True) if one.score != other.score)
    assert (changed[0].run, changed[0].forecast) == ("r19", changed[1].forecast)


def test_percent_and_fractions_have_equal_intervals(forecast):
    percent = ft.downstream(runs(percent=True), at="7B,140B")
    for one, other in zip(forecast.tasks, percent.tasks, strict=True):
        assert (one.score, one.low, one.high) == pytest.approx((other.score, other.low, other.high), abs=1e-9)


def test_without_a_loss_scores_follow_size_and_tokens_and_that_is_said():
    result = ft.downstream(runs().drop(columns="loss"), at="7B,140B", tasks="hellaswag")
    assert [one.route for one in result.tasks[0].routes] == ["direct"]
    assert result.losses == ()
    assert "no_loss" in {check.code for check in result.checks}
    assert list(silent(result.to_json())) == []
    with pytest.raises(RefusedError, match="two steps") as refused:
        ft.downstream(runs().drop(columns="loss"), at="7B,140B", route="two_step")
    assert refused.value.code == "no_loss"


def test_two_steps_never_leave_the_bounds_far_away():
    """Two steps from loss to HellaSwag once gave an error rate of -0.022."""
    result = ft.downstream(runs(), at="1T,100T", route="two_step", tasks="hellaswag,arc_easy")
    assert all(0 <= one.low <= one.score <= one.high <= 1 for one in result.tasks)
    assert "far_beyond" in {check.code for check in result.checks}


def test_farther_is_less_sure():
    near, far = (
        ft.downstream(runs(), at=at, tasks="hellaswag", route="direct").tasks[0] for at in ("1.4B,28B", "30B,600B")
    )
    assert near.compute_factor < far.compute_factor
    assert near.high - near.low < far.high - far.low


def test_several_runs_and_groups_are_told_apart():
    frame = pd.concat([runs(seed).assign(dataset=name) for seed, name in enumerate(("c4", "web"))])
    at = ["2B,40B", (4e9, "80B")]
    result = ft.downstream(frame, at=at, tasks=["hellaswag"], route="direct")
    assert [(one.group, one.params) for one in result.tasks] == [
        ("c4", 2e9), ("c4", 4e9), ("web", 2e9), ("web", 4e9),
    ]  # fmt: skip
    alone = ft.downstream(frame, at=at, tasks=["hellaswag"], route="direct", where="dataset=web")
    assert alone.tasks[0].score == pytest.approx(result.tasks[2].score, abs=1e-9)


def test_a_known_number_of_items_widens_an_interval_that_is_too_narrow():
    exact = runs(noise=0.0)
    few, many = (
        ft.downstream(exact, at="2B,40B", tasks="hellaswag", route="direct", reading=ScoreReading(items=n)).tasks[0]
        for n in (100, 100_000)
    )
    assert few.high - few.low > 0.1 > many.high - many.low


def test_standard_errors_of_scores_are_noise_of_an_evaluation_as_items_are():
    exact = runs(noise=0.0)
    score = exact["acc_hellaswag"]
    plain = exact[["params", "tokens"]].assign(task="hellaswag", metric="acc", score=score)
    error = np.sqrt(score * (1 - score) / 100)
    told = {
        name: ft.downstream(table, at="2B,40B", route="direct").tasks[0]
        for name, table in {
            "neither": plain,
            "items": plain.assign(n=100),
            "errors": plain.assign(score_se=error),
            "both": plain.assign(n=1, score_se=error),
            "of none": plain.assign(score_se=0.0),
            "in percent": plain.assign(score=100 * score, score_se=100 * error),
        }.items()
    }
    width = {name: task.high - task.low for name, task in told.items()}
    assert width["errors"] > 0.1 > width["neither"] == width["of none"]
    for name in ("errors", "both", "in percent"):
        assert width[name] == pytest.approx(width["items"], rel=1e-6)


def test_compute_is_counted_as_the_table_counts_it():
    frame = runs()
    twelve = frame.assign(flops=12 * frame["params"] * frame["tokens"])
    one, other = (ft.downstream(table, at="7B,140B", tasks="hellaswag").tasks[0] for table in (frame, twelve))
    assert other.flops == pytest.approx(2 * one.flops)
    assert other.compute_factor == pytest.approx(one.compute_factor)
    assert other.score == pytest.approx(one.score, abs=0.02)


def test_the_loss_of_a_task_is_a_step_between():
    frame = runs()
    own = 0.4 * frame["loss"] ** 1.2
    long = pd.concat([
        frame[["params", "tokens", "loss"]].assign(task="rte", metric="acc", score=frame["acc_hellaswag"]),
        frame[["params", "tokens", "loss"]].assign(task="rte", metric="prob", score=np.exp(-own)),
    ])  # fmt: skip
    result = ft.downstream(long, at="7B,140B")
    assert [one.metric for one in result.tasks] == ["acc"]
    by_own = next(one for one in result.tasks[0].routes if one.route == "two_step_task_loss")
    assert by_own.score == pytest.approx(result.tasks[0].score, abs=0.08)


def test_a_score_that_is_missing_is_left_out():
    frame = runs()
    frame.loc[3, "acc_hellaswag"] = np.nan
    assert ft.downstream(frame, at="7B,140B", tasks="hellaswag", route="direct").tasks[0].score is not None


@pytest.mark.parametrize("at", ["7B", "7B,140B,3", "7B,-1", "big,140B", "0,1B", []])
def test_a_run_that_is_none_is_refused(at):
    with pytest.raises(ForetokenError):
        ft.downstream(runs(), at=at)


def test_what_cannot_be_forecast_is_refused():
    with pytest.raises(ForetokenError, match="did you mean 'direct'"):
        ft.downstream(runs(), at="7B,140B", route="direkt")
    with pytest.raises(TableError, match="no task 'mmlu'"):
        ft.downstream(runs(), at="7B,140B", tasks="mmlu")
    with pytest.raises(TableError) as out_of_bounds:
        ft.downstream(runs().assign(acc_hellaswag=1.4), at="7B,140B")
    assert out_of_bounds.value.code == "score_out_of_bounds"
    with pytest.raises(TableError) as one_size:
        ft.downstream(runs().iloc[[0]], at="7B,140B")
    assert one_size.value.code == "one_size"
    with pytest.raises(RefusedError) as too_few:
        ft.downstream(runs(sizes=(1e7,)), at="7B,140B")
    assert too_few.value.code == "too_few_runs"


def test_largest_openlm_runs_lie_inside(scaling_data: Path):
    """Averages and HellaSwag on the two largest runs of each data set: at least 80 % inside; none outside [0, 1]."""
    frame = pd.read_csv(scaling_data / "openlm_overtraining.csv")
    inside, names = [], {"avg_17": "err_avg_17", "avg_46": "err_avg_46", "hellaswag": "err_hellaswag"}
    for _, rows in frame.groupby("dataset"):
        ordered = rows.sort_values("flops")
        rest = ordered.iloc[-2:]
        at = list(zip(rest.params, rest.tokens, strict=True))
        result = ft.downstream(ordered.iloc[:-2], at=at, rename={"loss": "loss_c4_val"}, tasks=list(names))
        for one in result.tasks:
            truth = rest.loc[np.isclose(rest.params, one.params), names[one.task]].iloc[0]
            assert 0 <= one.low <= one.score <= one.high <= 1
            inside.append(one.low <= truth <= one.high)
    assert np.mean(inside) >= 0.8


def test_published_errors_of_redpajama(scaling_data: Path):
    """Gadre et al. 2024: .05 % at 6.9B, M = 20 and 3.64 % at 1.4B, M = 640."""
    frame = pd.read_csv(scaling_data / "openlm_overtraining.csv")
    found = {multiplier: error for _, multiplier, error in published_errors(frame[frame.dataset == "RedPajama"])}
    assert found[20] == pytest.approx(0.05, abs=0.01)
    assert found[640] == pytest.approx(3.64, abs=0.01)
