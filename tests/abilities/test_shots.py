from __future__ import annotations

import pandas as pd
import pytest

from foretoken.abilities.shots import shot_checks, shot_gains
from foretoken.abilities.table import ScoreReading, read_scores

SIZES = [1e8, 1e9, 1e10]


def rows(task: str, metric: str, gains: list[float], base: float = 0.4) -> list[tuple[object, ...]]:
    return [
        (size, task, metric, shots, base + gain * (shots == "few"))
        for size, gain in zip(SIZES, gains, strict=True)
        for shots in ("zero", "few")
    ]


def table(*parts: list[tuple[object, ...]]) -> pd.DataFrame:
    flat = [row for part in parts for row in part]
    return pd.DataFrame(flat, columns=["params", "task", "metric", "shots", "score"])


def test_the_gain_is_paired_over_tasks() -> None:
    frame = table(rows("a", "acc", [-0.02, 0.02, 0.10]), rows("b", "acc", [0.01, 0.03, 0.20], base=0.6))
    (gain,) = shot_gains(read_scores(frame), 0.9)
    assert (gain.base, gain.shots) == ("zero", "few")
    assert [entry.mean for entry in gain.sizes] == pytest.approx([-0.005, 0.025, 0.15])
    assert [entry.better for entry in gain.sizes] == [1, 2, 2]
    assert gain.all_gain_from == 1e9
    assert gain.sizes[2].low < 0.15 < gain.sizes[2].high
    assert [check.code for check in shot_checks([gain])] == ["shots_help_late"]


def test_what_is_no_task_s_own_score_is_left_out_by_name() -> None:
    ppl = [(size, "text", "ppl", shots, 20.0) for size in SIZES for shots in ("zero", "few")]
    unscored = [(s, "wic", "acc", shots, 0.0 if shots == "zero" else 0.5 + 1e-11 * s) for s in SIZES
                for shots in ("zero", "few")]  # fmt: skip
    frame = table(
        rows("a", "acc", [0.1, 0.2, 0.3]), rows("b", "acc", [0.1, 0.1, 0.1]), rows("all", "average", [0.1, 0.1, 0.1]),
        ppl, unscored,
    )  # fmt: skip
    (gain,) = shot_gains(read_scores(frame), 0.9)
    assert gain.sizes[0].tasks == 2
    assert {told.split(",")[0] for told in gain.left_out} == {"text", "wic", "all"}


def test_an_error_that_falls_is_a_gain() -> None:
    frame = table(rows("a", "err", [-0.1, -0.1, -0.1]), rows("b", "err", [-0.1, -0.2, -0.3]))
    (gain,) = shot_gains(read_scores(frame), 0.9)
    assert all(entry.mean > 0 for entry in gain.sizes)


def test_one_number_of_shots_has_no_gain() -> None:
    assert not shot_gains(read_scores(table(rows("a", "acc", [0.1, 0.2, 0.3])).query("shots == 'few'")), 0.9)


def test_numbers_that_are_no_numbers_have_one_order() -> None:
    frame = table(rows("a", "acc", [0.1, 0.2, 0.3]), rows("b", "acc", [0.1, 0.1, 0.2]))
    named = frame.assign(shots=frame["shots"].map({"zero": "plain", "few": "chain_of_thought"}))
    (gain,) = shot_gains(read_scores(named), 0.9)
    assert (gain.base, gain.shots) == ("chain_of_thought", "plain")


def test_along_a_loss_the_best_model_stands_last() -> None:
    frame = table(rows("a", "acc", [-0.1, 0.2, 0.3]), rows("b", "acc", [0.1, 0.1, 0.2]))
    falling = frame.assign(loss=frame["params"].map(dict(zip(SIZES, (4.0, 3.0, 2.0), strict=True))))
    (gain,) = shot_gains(read_scores(falling, reading=ScoreReading(against="loss")), 0.9)
    assert [entry.size for entry in gain.sizes] == [4.0, 3.0, 2.0]
    assert gain.all_gain_from == 3.0
    assert [check.code for check in shot_checks([gain])] == ["shots_help_late"]
