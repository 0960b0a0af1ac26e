"""Calibration: each shape is timed once, what failed has a careful guess, and another machine's times do not count."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from foretoken.launchers import Job, Machine, Outcome
from foretoken.launchers.calibration import FALLBACK_FLOPS, FORWARD_SHARE, Calibration
from foretoken.launchers.jobs import CALIBRATE, CalibrationJob, Speed
from foretoken.launchers.launcher import OnEvent, go_on, ignore
from foretoken.runs.schema import LaunchSection
from foretoken.runs.spec import RunSpec
from foretoken.store.store import Store
from foretoken.study.progress import ProgressListener
from foretoken.study.trainer import LoopTrainer

from ..runs.test_spec import SPEC

WIDER = replace(SPEC, shape=replace(SPEC.shape, width=32, feed_forward=128))


@dataclass
class Timer:
    """Answers at once with times that were set; remembers what it was asked."""

    speeds: dict[str, Speed | None]
    asked: list[str] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)

    def launch(
        self,
        function: str,
        jobs: Sequence[Job],
        *,
        workers: int,
        threads: int,
        log: Path,
        on_event: OnEvent = ignore,
        check: Callable[[], None] = go_on,
    ) -> list[Outcome]:
        assert function == CALIBRATE
        self.asked += [job.name for job in jobs]
        self.threads.append(threads)
        outcomes = []
        for job in jobs:
            assert CalibrationJob.from_json(json.loads(json.dumps(job.argument_json))).run.key == job.name
            speed = self.speeds[job.name]
            outcomes.append(
                Outcome(job.name, result_json=speed.to_json()) if speed else Outcome(job.name, error="no memory")
            )
        return outcomes

    def measure(self, log: Path, *, on_event: OnEvent = ignore, check: Callable[[], None] = go_on) -> Machine:
        raise AssertionError("calibration asks for no machine")


def calibrated(folder: Path, timer: Timer, specs: Sequence[RunSpec], processor: str = "a processor") -> Calibration:
    calibration = Calibration(Store(folder), timer, processor)
    calibration.measure(specs, workers=2)
    return calibration


@pytest.fixture
def timer() -> Timer:
    return Timer({SPEC.key: Speed(2e-6, 5e9), WIDER.key: Speed(5e-6, 7e9)})


def test_time_is_that_of_steps_and_of_the_evaluation(tmp_path: Path, timer: Timer) -> None:
    calibration = calibrated(tmp_path, timer, [SPEC])
    assert calibration.seconds(SPEC) == pytest.approx(2e-6 * (SPEC.tokens + FORWARD_SHARE * SPEC.eval_tokens))
    assert calibration.seconds(SPEC, steps=10) == pytest.approx(2e-6 * (5120 + FORWARD_SHARE * SPEC.eval_tokens))
    twice = SPEC.with_tokens(2 * SPEC.tokens)
    assert calibration.seconds(twice) - calibration.seconds(SPEC) == pytest.approx(2e-6 * SPEC.tokens)


def test_a_shape_is_timed_once_whatever_its_length_seed_and_learning_rate(tmp_path: Path, timer: Timer) -> None:
    same = [SPEC.with_tokens(102_400), replace(SPEC, seed=1), replace(SPEC, learning_rate=1e-3), SPEC]
    calibrated(tmp_path, timer, same)
    assert timer.asked == [SPEC.key]


@pytest.mark.parametrize(
    "change", [{"batch_tokens": 1024}, {"threads": 2}, {"precision": "bfloat16"}, {"software": "recipe 9"}], ids=str
)
def test_what_changes_the_speed_is_timed_again(tmp_path: Path, timer: Timer, change: dict[str, object]) -> None:
    other = replace(SPEC, **change)  # type: ignore[arg-type]
    timer.speeds[other.key] = Speed(9e-6, 1e9)
    calibration = calibrated(tmp_path, timer, [SPEC])
    calibration.measure([SPEC, other], workers=1)
    assert timer.asked == [SPEC.key, other.key]
    assert calibration.seconds(other, steps=1) > calibration.seconds(SPEC, steps=1)
    assert timer.threads == [1, other.threads]


def test_times_are_read_from_the_folder_by_the_next_attempt(tmp_path: Path, timer: Timer) -> None:
    first = calibrated(tmp_path, timer, [SPEC, WIDER])
    second = calibrated(tmp_path, timer, [SPEC, WIDER])
    assert sorted(timer.asked) == sorted([SPEC.key, WIDER.key])
    assert [second.seconds(spec) for spec in (SPEC, WIDER)] == [first.seconds(spec) for spec in (SPEC, WIDER)]
    assert second.peak(SPEC) == first.peak(SPEC)


def test_times_of_another_processor_do_not_count(tmp_path: Path, timer: Timer) -> None:
    calibrated(tmp_path, timer, [SPEC])
    calibrated(tmp_path, timer, [SPEC], processor="another")
    assert timer.asked == [SPEC.key, SPEC.key]


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"machine": "a processor", "speeds": 3, "peaks": {}}'])
def test_a_damaged_file_is_measured_anew(tmp_path: Path, timer: Timer, content: str) -> None:
    tmp_path.mkdir(exist_ok=True)
    (tmp_path / "calibration.json").write_text(content)
    assert calibrated(tmp_path, timer, [SPEC]).seconds(SPEC) > 0
    assert timer.asked == [SPEC.key]


def test_the_peak_is_the_best_of_all_shapes_of_a_precision(tmp_path: Path, timer: Timer) -> None:
    calibration = calibrated(tmp_path, timer, [SPEC, WIDER])
    assert calibration.peak(SPEC) == calibration.peak(WIDER) == 7e9
    assert calibration.peak(replace(SPEC, threads=4)) is None
    assert calibration.peak(replace(SPEC, precision="bfloat16")) is None


def test_what_could_not_be_timed_has_a_guess_by_its_flops(tmp_path: Path) -> None:
    calibration = calibrated(tmp_path, Timer({SPEC.key: None}), [SPEC])
    trained = calibration.seconds(replace(SPEC, eval_tokens=0))
    assert trained == pytest.approx(SPEC.flops / FALLBACK_FLOPS)
    assert calibration.peak(SPEC) is None


def test_the_threads_beside_a_run_are_those_of_its_machine(tmp_path: Path) -> None:
    store, machine = Store(tmp_path), Machine(cores=8, memory_bytes=1e9, processor="p", bfloat16=False, count=3)
    corpus = SimpleNamespace(folder=tmp_path)
    trainer = LoopTrainer(
        store, cast(Any, corpus), Timer({}), machine,
        workers=7, launch=LaunchSection(), listener=ProgressListener(), check=go_on,
    )  # fmt: skip
    run = replace(SPEC, threads=2)
    job = trainer._job([run], {run.key: 1.0}, workers=7)
    assert job.argument_json["context"]["threads_in_use"] == 2 * 3
