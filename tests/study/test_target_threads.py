"""The target's threads: measured once where the study file leaves them open, kept from then on, and told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from foretoken.launchers import Job, Machine, Outcome
from foretoken.launchers.jobs import COMPARE_THREADS, ThreadsJob, ThreadSpeed
from foretoken.runs.study_file import Study
from foretoken.study.design_file import chosen_threads, read_design_file
from foretoken.study.preview import design
from foretoken.study.progress import ProgressListener
from foretoken.study.runner import StudyRunner

from ..faults import tiny

pytest.importorskip("torch", reason="the machine is timed")
CORES = 4


@dataclass
class Timed(tiny.InProcess):
    """A machine of four cores that trains at these speeds with one thread and with all."""

    one: float | None
    several: float = 1000.0
    asked: list[list[int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def measure(self, log: Path, **settings: Any) -> Machine:
        return Machine(cores=CORES, memory_bytes=1e12, processor="this one", bfloat16=False)

    def launch(self, function: str, jobs: Sequence[Job], **settings: Any) -> list[Outcome]:
        if function != COMPARE_THREADS:
            return super().launch(function, jobs, **settings)
        (job,) = jobs
        threads = ThreadsJob.from_json(job.argument_json).threads
        self.asked.append(threads)
        assert settings["threads"] == max(threads)
        if self.one is None:
            return [Outcome(job.name, error="no memory")]
        speeds = [ThreadSpeed(count, self.one if count == 1 else self.several).to_json() for count in threads]
        return [Outcome(job.name, result_json=speeds)]


class Heard(ProgressListener):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture(autouse=True)
def _in_process() -> Iterator[None]:
    with tiny.in_process():
        yield


def chosen(folder: Path, launcher: Timed, study: Study, heard: Heard | None = None) -> int:
    """Threads of the target when the study has come to the point where they are chosen."""
    runner = StudyRunner(study, folder, heard, launcher=launcher)
    with runner.owned():
        return runner.choose_threads(runner.design()).target.threads


@pytest.mark.parametrize(("one", "threads"), [(2000.0, 1), (999.0, CORES), (1000.0, CORES)])
def test_the_faster_number_is_taken_once_and_kept(one: float, threads: int, tmp_path: Path) -> None:
    study, heard, launcher = tiny.tiny_study(target_threads=0), Heard(), Timed(one)
    assert chosen(tmp_path / "tiny", launcher, study, heard) == threads
    assert launcher.asked == [[1, CORES]]
    assert any(f"threads of the target: {threads}" in note and f"{one:,.0f} with 1" in note for note in heard.notes)
    kept = read_design_file(tmp_path / "tiny")
    assert kept
    assert kept.target_threads
    assert (kept.design.target.threads, kept.target_threads.measured[0]) == (threads, ThreadSpeed(1, one))
    # On another day the machine is otherwise: the target keeps its threads, and with them its key.
    other = Timed(3000.0 - one, several=1500.0)
    assert chosen(tmp_path / "tiny", other, study) == threads
    assert other.asked == []
    assert StudyRunner(study, tmp_path / "tiny", launcher=other).planned_design().target == kept.design.target


def test_other_runs_are_measured_anew_and_other_words_are_not(tmp_path: Path) -> None:
    study = tiny.tiny_study(target_threads=0)
    assert chosen(tmp_path / "tiny", Timed(2000.0), study) == 1
    level = study.model_copy(update={"forecast": study.forecast.model_copy(update={"level": 0.8})})
    longer = study.model_copy(update={"target": study.target.model_copy(update={"compute_factor": 3.0})})
    assert chosen_threads(tmp_path / "tiny", level)
    assert chosen_threads(tmp_path / "tiny", longer) is None
    assert chosen(tmp_path / "tiny", Timed(1.0), longer) == CORES


def test_a_number_in_the_study_file_stays_and_what_would_be_faster_is_told(tmp_path: Path) -> None:
    for one, told in ((5000.0, True), (1050.0, False)):
        heard, launcher = Heard(), Timed(one)
        assert chosen(tmp_path / f"{one:.0f}", launcher, tiny.tiny_study(target_threads=2), heard) == 2
        assert launcher.asked == [[1, 2]]
        assert any("slow_threads" in note and "target_threads = 1" in note for note in heard.notes) == told


def test_one_thread_is_not_measured(tmp_path: Path) -> None:
    launcher = Timed(5000.0)
    assert chosen(tmp_path / "tiny", launcher, tiny.tiny_study(target_threads=1)) == 1
    assert launcher.asked == []


def test_what_cannot_be_measured_or_was_forecast_keeps_all_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, launcher = tiny.tiny_study(target_threads=0), Timed(2000.0)
    assert chosen(tmp_path / "tiny", Timed(None), study) == CORES
    with monkeypatch.context() as forecast:
        forecast.setattr("foretoken.study.runner.current_forecast", lambda *_: "a line of the ledger")
        assert chosen(tmp_path / "tiny", launcher, study) == CORES
    monkeypatch.setattr("foretoken.store.store.Store.has_begun", lambda *_: True)
    assert chosen(tmp_path / "tiny", launcher, study) == CORES
    assert launcher.asked == []


@pytest.mark.parametrize(("asked", "speed"), [(0, 2000.0), (2, 1000.0)])
def test_the_estimate_is_that_of_the_threads_that_will_train(asked: int, speed: float, tmp_path: Path) -> None:
    planned = design(tiny.tiny_study(target_threads=asked), tmp_path / "tiny", launcher=Timed(2000.0))
    tokens = planned.target.tokens + 256 / 3  # the evaluation's count a third
    assert planned.target.seconds_estimated == pytest.approx(tokens / speed)
    assert ("slow_threads" in [check.code for check in planned.checks]) == bool(asked)
