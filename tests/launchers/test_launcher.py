"""A launcher is received: one of the test's own trains a study to the same bits, and nothing else asks this machine."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from foretoken.errors import DesignError, ForetokenError
from foretoken.launchers import LAUNCHERS, Job, Launcher, LocalLauncher, Machine, Outcome
from foretoken.launchers.launcher import (
    EVENTS,
    Ended,
    Event,
    Note,
    OnEvent,
    Released,
    Silent,
    Started,
    Step,
    event_from_json,
    event_to_json,
    go_on,
    ignore,
)
from foretoken.launchers.worker import job_function
from foretoken.runs.schema import LaunchSection
from foretoken.runs.study_file import load_study
from foretoken.store.read import read_table
from foretoken.study.maintenance import verify
from foretoken.study.preview import dry_run
from foretoken.study.run_study import run
from foretoken.study.runner import StudyRunner

from ..faults import tiny

ELSEWHERE = Machine(cores=7, memory_bytes=1e12, processor="a processor elsewhere", bfloat16=False)


class FilesLauncher:
    """Jobs, events and results go through files below `log`, as on a cluster; the jobs run in this process."""

    def __init__(self, machine: Machine = ELSEWHERE) -> None:
        self.machine = machine
        self.launched: list[tuple[str, int]] = []
        self.closed = False

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
        self.launched.append((function.split(":")[1], workers))
        outcomes = []
        for job in sorted(jobs, key=lambda job: -job.seconds):
            check()
            home = log.parent / "cluster" / function.split(":")[1] / job.name
            home.mkdir(parents=True, exist_ok=True)
            (home / "argument.json").write_text(json.dumps(job.argument_json))
            on_event(job.name, Started())
            outcomes.append(self._call(function, job.name, home, on_event))
        return outcomes

    def measure(self, log: Path, *, on_event: OnEvent = ignore, check: Callable[[], None] = go_on) -> Machine:
        return self.machine

    def close(self) -> None:
        self.closed = True

    def _call(self, function: str, name: str, home: Path, on_event: OnEvent) -> Outcome:
        def report(event: Event) -> None:
            (home / "event.json").write_text(json.dumps(event_to_json(event)))
            on_event(name, event_from_json(json.loads((home / "event.json").read_text())))

        argument_json = json.loads((home / "argument.json").read_text())
        try:
            result = job_function(function)(argument_json, report, lambda: False)
        except ForetokenError as error:
            return Outcome(name, error=str(error), fatal=True)
        (home / "result.json").write_text(json.dumps(result))
        return Outcome(name, result_json=json.loads((home / "result.json").read_text()))


def test_a_launcher_of_ones_own_trains_the_same_bits(tmp_path: Path) -> None:
    """A whole study of ten runs, re-centred and scored; `verify` finds nothing wrong with what lies below `log`."""
    folder, launcher = tmp_path / "own" / "tiny", FilesLauncher()
    with tiny.in_process():
        tiny.run(tmp_path / "local" / "tiny")
        result = run(tiny.tiny_study(), folder, launcher=launcher)
    assert result["outcome"]
    assert read_table(folder).digest == read_table(tmp_path / "local" / "tiny").digest
    assert verify(folder) == []
    assert launcher.closed
    assert {function for function, _ in launcher.launched} == {"calibrate_job", "train_job"}
    assert {path.name for path in folder.glob("log/cluster/*/*/*")} == {"argument.json", "event.json", "result.json"}
    assert json.loads((folder / "calibration.json").read_text())["machine"] == ELSEWHERE.processor


def test_the_machine_is_the_launcher_s(mini_file: Path) -> None:
    """Workers, threads of the target and room in memory are counted where the jobs run."""
    mini_file.write_text(mini_file.read_text().replace("workers = 1\ntarget_threads = 1", ""))
    study, folder = load_study(mini_file), mini_file.parent / "runs" / "mini"
    runner = StudyRunner(study, folder, launcher=FilesLauncher())
    assert (runner.workers, runner.target_threads, runner.recipe.bfloat16) == (7, 7, False)
    small = FilesLauncher(replace(ELSEWHERE, memory_bytes=1e5))
    with pytest.raises(DesignError, match="does not fit in this machine's memory"):
        run(study, folder, launcher=small)
    with pytest.raises(DesignError, match="does not fit in this machine's memory"):
        dry_run(study, folder, launcher=small)
    assert small.launched == []


def test_every_kind_of_a_study_file_has_its_launcher() -> None:
    kinds = LaunchSection.model_json_schema()["properties"]["kind"]
    assert set(LAUNCHERS) == set(kinds.get("enum", [kinds.get("const")]))
    for kind, make in LAUNCHERS.items():
        launcher: Launcher = make(LaunchSection.model_validate({"kind": kind}))
        assert callable(launcher.launch)


SAMPLES = [
    Started(),
    Released(),
    Step("a", 1, 2, None),
    Step("a", 1, 2, 0.5),
    Ended("a", "failed", False),
    Note("text"),
    Silent(9.5),
]


@pytest.mark.parametrize("event", SAMPLES)
def test_events_travel_as_json(event: Event) -> None:
    assert {type(sample) for sample in SAMPLES} == set(EVENTS.values())
    assert event_from_json(json.loads(json.dumps(event_to_json(event)))) == event


def test_a_foreign_event_is_refused() -> None:
    with pytest.raises(KeyError):
        event_from_json({"kind": "stepped"})
    with pytest.raises(TypeError):
        event_from_json({"kind": "note", "txt": "a"})


def test_this_machine_is_measured(tmp_path: Path) -> None:
    machine = LocalLauncher().measure(tmp_path / "log")
    assert machine.cores >= 1
    assert machine.memory_bytes > 1e8
    assert machine.processor
    assert not list(tmp_path.iterdir())
