"""Speeds of this machine: each number of threads has its turn, and its steps are counted by the clock."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from foretoken.launchers.jobs import COMPARE_THREADS, ThreadsJob, ThreadSpeed
from foretoken.launchers.worker import job_function
from foretoken.training import calibrate

from .small import SPEC


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_threads_are_compared_by_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a step that takes one second with one thread and three with two, by a clock that only steps move."""
    now, order = [0.0], []

    def step() -> None:
        order.append(torch.get_num_threads())
        now[0] += 1.0 if torch.get_num_threads() == 1 else 3.0

    monkeypatch.setattr(calibrate, "_training_step", lambda spec: step)
    monkeypatch.setattr(calibrate, "TURN_SECONDS", 2.5)
    monkeypatch.setattr(calibrate.time, "perf_counter", lambda: now[0])
    one, two = calibrate.compare_threads(SPEC, [1, 2])
    assert (one, two) == (ThreadSpeed(1, SPEC.batch_tokens / 1.0), ThreadSpeed(2, SPEC.batch_tokens / 3.0))
    assert order[:6] == [1, 1, 1, 1, 2, 2]  # the first of each turn does not count


def test_a_job_of_a_launcher_measures_real_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrate, "TURN_SECONDS", 0.001)
    answer = job_function(COMPARE_THREADS)(ThreadsJob(SPEC, [1, 2]).to_json(), lambda event: None, lambda: False)
    speeds = [ThreadSpeed.from_json(one) for one in answer]
    assert [speed.threads for speed in speeds] == [1, 2]
    assert all(speed.tokens_per_second > 0 for speed in speeds)
