"""What a study takes is counted over all attempts; it ends cleanly at its limit, and goes on where that is raised."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Container, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import foretoken as ft
from foretoken.compute.hardware import Device
from foretoken.errors import ForetokenError, LimitReachedError, PausedError
from foretoken.launchers import Job, Launcher, LocalLauncher
from foretoken.launchers.launcher import Ended, Note, Released, Started
from foretoken.runs.schema import LaunchSection
from foretoken.store.store import Store
from foretoken.study.limit_checks import limit_reached
from foretoken.study.progress import ProgressListener
from foretoken.study.run_study import study_runner
from foretoken.study.spending import SPENT, Meter, Spending

from ..own_trainer.test_study import some_runs, study_of


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def meter_of(
    folder: Path,
    jobs: Sequence[Job],
    clock: Clock,
    *,
    measured: bool = True,
    saves: bool = True,
    again: Container[str] = (),
    **launch: object,
) -> Meter:
    section = LaunchSection.model_validate({"gpus": 1, "usd_per_hour": 2.0, **launch})
    waiting = {job.name: {f"run of {job.name}"} for job in jobs}
    return Meter(
        Spending(folder),
        section,
        jobs,
        cores=4.0,
        waiting=waiting,
        measured=measured,
        saves=saves,
        again=again,
        now=clock,
    )


def hours_of(name: str, hours: float, gpus: float = 1.0) -> Job:
    return Job(name, {}, 3600 * hours, gpus)


def test_what_workers_have_is_counted_whatever_becomes_of_it(tmp_path: Path) -> None:
    clock = Clock()
    meter = meter_of(tmp_path, [hours_of("a", 1, 2.0), hours_of("b", 1, 0.25)], clock)
    for seconds, job, event in [
        (3600, "a", Started()),
        (3600, "a", Released()),  # its worker has died after an hour
        (1800, "a", Started()),
        (1800, "b", Started()),
        (1800, "b", Note("at work")),
        (0, "b", Ended("run of b", "finished")),
        (3600, "b", Released()),
    ]:
        meter.report(job, event)
        clock.seconds += seconds
    meter.close()
    spent = Spending(tmp_path).spent(meter.launch)
    # a: 1 h before it was lost; then 0.5 + 0.5 + 0.5 + 1 h, beside b's 1 h
    assert spent.gpu_hours == pytest.approx(2 * (1 + 2.5) + 0.25 * 1)
    assert spent.core_hours == pytest.approx(4 * (1 + 2.5 + 1))
    assert spent.hours == pytest.approx(16200 / 3600)
    assert spent.usd == pytest.approx(2.0 * spent.gpu_hours)


def test_another_attempt_counts_on(tmp_path: Path) -> None:
    for attempt in (1, 2, 3):
        clock = Clock()
        meter = meter_of(tmp_path, [hours_of("a", 1)], clock, limit="$500")
        meter.report("a", Started())
        clock.seconds = 3600
        meter.check()  # and then the driver is killed: nothing is closed
        assert Spending(tmp_path).spent(meter.launch).told == [f"${2 * attempt} of $500"]


@pytest.mark.parametrize("content", ["", "{}", '{"hours": -1, "reached": "", "jobs": {}}', "[]", '{"hours": NaN}'])
def test_a_damaged_count_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / SPENT).write_text(content)
    assert Spending(tmp_path).spent(LaunchSection()).hours == 0.0


@pytest.mark.parametrize(
    ("limit", "hours"), [("10 GPU-hours", 5), ("40 core-hours", 10), ("$20", 5), ("7 hours", 7), ("1 week", 168)]
)
def test_a_limit_is_reached_when_it_is_spent(tmp_path: Path, limit: str, hours: float) -> None:
    clock = Clock()
    meter = meter_of(tmp_path, [hours_of("a", 1000, 2.0)], clock, limit=limit, gpus=2)
    meter.report("a", Started())
    clock.seconds = 3600 * hours - 1
    meter.check()
    clock.seconds += 2
    with pytest.raises(LimitReachedError):
        meter.check()


def test_a_deadline_is_told_in_local_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        section = LaunchSection(limit=["2026-12-24T18:00"])
        assert section.limits[0].told(0) == "the deadline 2026-12-24 18:00 CET"
        assert section.limits == LaunchSection(limit=["2026-12-24T17:00Z"]).limits
    finally:
        monkeypatch.undo()
        time.tzset()
    late, early = (datetime.now() + timedelta(hours=hours) for hours in (1, -1))
    meter_of(tmp_path, [hours_of("a", 1)], Clock(), limit=late.isoformat()).check()
    with pytest.raises(LimitReachedError):
        meter_of(tmp_path, [hours_of("a", 1)], Clock(), limit=early.isoformat()).check()


def test_a_job_that_would_go_beyond_is_not_started_and_a_shorter_one_is(tmp_path: Path) -> None:
    clock, jobs = Clock(), [hours_of(name, hours) for name, hours in (("a", 6), ("b", 5), ("c", 4), ("d", 1))]
    meter = meter_of(tmp_path, jobs, clock, limit="10 GPU-hours")
    a, b, c, d = jobs
    assert meter.admit(a)
    meter.report("a", Started())
    assert [meter.admit(job) for job in (b, c, d)] == [False, True, True]
    meter.report("c", Started())
    assert not meter.admit(d)
    clock.seconds = 3600  # both are quicker than was thought: 1 h each
    for job in (a, c):
        meter.report(job.name, Ended(f"run of {job.name}", "finished"))
    assert [meter.admit(job) for job in (b, d)] == [True, True]


def test_the_end_names_no_number_of_runs_but_those_that_are_done(tmp_path: Path) -> None:
    """The jobs that are left are of one stage, a trunk with its branches each: others may come after them."""
    jobs = [hours_of("a", 6), hours_of("b", 5)]
    error = limit_reached(Store(tmp_path), meter_of(tmp_path, jobs, Clock(), limit="4 GPU-hours"), jobs)
    assert str(error).startswith("limit reached: 0 of 4 GPU-hours; the shortest that could start next is")
    assert "5 GPU-hours" in str(error)


def test_time_is_shared_and_money_is_not(tmp_path: Path) -> None:
    jobs = [hours_of(name, 3) for name in "abc"]
    meter = meter_of(tmp_path, jobs, Clock(), limit=["4 hours", "1 day"][:1])
    for job in jobs:
        assert meter.admit(job)  # side by side
        meter.report(job.name, Started())
    assert not meter_of(tmp_path, jobs, Clock(), limit="2 hours").admit(jobs[0])


def test_what_nobody_can_know_is_tried_and_then_known(tmp_path: Path) -> None:
    clock, jobs = Clock(), [Job("a", {}, 2.0, 1.0), Job("b", {}, 1.0, 1.0)]
    meter = meter_of(tmp_path, jobs, clock, measured=False, limit="10 GPU-hours")
    assert meter.admit(jobs[0])
    meter.report("a", Started())
    assert meter.admit(jobs[1])
    clock.seconds = 8 * 3600
    meter.report("a", Ended("run of a", "finished"))
    assert not meter.admit(jobs[1])  # half as long, so 4 h of the 2 that are left


def test_a_job_that_is_trained_again_needs_all_of_it(tmp_path: Path) -> None:
    """Such as one whose weights or scores are asked for after its end."""
    spending = Spending(tmp_path)
    spending.add("a", 3600 * 10, 1, 4)
    spending.write()
    for again, fits in ((set[str](), True), ({"a"}, False)):
        meter = meter_of(tmp_path, [hours_of("a", 10), hours_of("b", 1)], Clock(), limit="15 GPU-hours", again=again)
        assert meter.admit(meter.jobs["a"]) is fits
        assert meter.admit(meter.jobs["b"])


def test_a_job_that_goes_on_needs_only_the_rest(tmp_path: Path) -> None:
    clock, job = Clock(), hours_of("a", 10)
    meter = meter_of(tmp_path, [job], clock, limit="11 GPU-hours")
    meter.report("a", Started())
    clock.seconds = 3600 * 9
    meter.report("a", Released())
    assert meter.admit(job)
    meter.saves = False
    assert not meter.admit(job)


@settings(max_examples=60, deadline=None)
@given(
    jobs=st.lists(st.tuples(st.floats(0.01, 9), st.sampled_from([0.25, 1.0, 4.0])), min_size=1, max_size=12),
    limit=st.floats(0.5, 60),
)
def test_jobs_that_take_what_was_thought_never_go_beyond(
    jobs: list[tuple[float, float]], limit: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    clock = Clock()
    listed = [hours_of(f"{number}", hours, gpus) for number, (hours, gpus) in enumerate(jobs)]
    meter = meter_of(tmp_path_factory.mktemp("spent"), listed, clock, limit=f"{limit} GPU-hours")
    left = sorted(listed, key=lambda job: -job.seconds)
    under_way: list[tuple[float, Job]] = []
    while True:
        for job in [job for job in left if len(under_way) < 3]:
            if len(under_way) < 3 and meter.admit(job):
                left.remove(job)
                meter.report(job.name, Started())
                under_way.append((clock.seconds + job.seconds, job))
        if not under_way:
            break
        under_way.sort(key=lambda pair: pair[0])
        clock.seconds, job = under_way.pop(0)
        meter.report(job.name, Ended(f"run of {job.name}", "finished"))
    assert meter.spending.gpu_hours <= limit * (1 + 1e-6)
    assert all(job.gpus * job.seconds / 3600 > limit - meter.spending.gpu_hours - 1e-6 for job in left)


def trained(study: ft.Study, folder: Path, launcher: Launcher | None = None) -> Store:
    """The small runs of a study, trained; nothing is fitted."""
    runner = study_runner(study, folder, launcher=launcher)
    with runner.owned():
        runner.trainer.train(runner.design().runs)
    return Store(folder)


def test_a_study_ends_cleanly_at_its_limit_and_goes_on_to_the_same_table(tmp_path: Path) -> None:
    undisturbed = trained(study_of(tmp_path), tmp_path / "runs" / "free")
    folder, verb = tmp_path / "runs" / "own", [sys.executable, "-m", "foretoken"]
    study_of(tmp_path, launch='limit = ["1 ms", "2100-01-01"]')
    ended = subprocess.run([*verb, "run", "own.toml", "--json"], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 130
    assert "limit reached:" in ended.stderr
    assert "of 12 runs done" in ended.stderr
    assert "raise launch.limit and run again" in ended.stderr
    status = json.loads(ended.stdout)
    assert status["spent"]["limit"] == ["1 ms", "2100-01-01"]
    assert status["spent"]["reached"] in ended.stderr
    assert status["counts"]["failed"] == 0
    assert status["spent"]["hours"] > 0
    # again with the same limit: nothing is started
    starts = len(list(folder.glob("runs/*/own/starts")))
    with pytest.raises(LimitReachedError, match="limit reached"):
        ft.run(ft.load_study(tmp_path / "own.toml"), folder)
    assert len(list(folder.glob("runs/*/own/starts"))) == starts
    told = subprocess.run([*verb, "status", "own.toml"], cwd=tmp_path, capture_output=True, text=True).stdout
    assert "limit reached" in told
    assert "spent:" in told
    again = trained(study_of(tmp_path, launch='limit = "9 hours"'), folder)
    spent = ft.status(folder).spent
    assert spent.reached == ""
    assert spent.hours > status["spent"]["hours"]
    assert again.table().digest == undisturbed.table().digest
    assert ft.verify(folder) == []


def test_a_killed_driver_does_not_reset_what_is_spent(tmp_path: Path) -> None:
    study_of(tmp_path, "slow")
    folder, verb = tmp_path / "runs" / "own", [sys.executable, "-m", "foretoken", "run", "own.toml"]
    driver = subprocess.Popen(verb, cwd=tmp_path, stderr=subprocess.DEVNULL)
    last = time.monotonic() + 60
    while not (folder / SPENT).is_file():
        assert time.monotonic() < last
        time.sleep(0.05)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    spent = ft.status(folder).spent
    assert spent.hours > 0
    study = study_of(tmp_path, "slow", launch='limit = "1 s"')
    with pytest.raises(PausedError, match="limit reached"):
        ft.run(study, folder)
    assert ft.status(folder).spent.hours >= spent.hours


def test_records_that_nobody_counted_count(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "own"
    records = some_runs(study_of(tmp_path), tmp_path, [1e6, 2e6])
    seconds = sum(record.seconds for record in records)
    counted = Spending(folder)
    before = sum(job.seconds for job in counted.jobs.values())
    assert before >= 0.5 * seconds
    for job in counted.jobs.values():
        job.runs.clear()
        job.seconds += 100.0  # more than the records know of: attempts that left none
    counted.take_records(Store(folder), LaunchSection(gpus=2))
    assert sum(job.seconds for job in counted.jobs.values()) == pytest.approx(before + 200.0)
    (folder / SPENT).unlink()
    spending = Spending(folder)
    for _ in range(2):  # once is enough
        spending.take_records(Store(folder), LaunchSection(gpus=2))
        assert spending.gpu_hours == pytest.approx(2 * seconds / 3600)
        assert sum(job.seconds for job in spending.jobs.values()) == pytest.approx(seconds)


def test_a_limit_that_the_design_exceeds_is_told_before_anything_is_trained(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "own"
    limited = study_of(tmp_path, target=True, launch='limit = "100 ms"')
    assert "not known yet" in ft.dry_run(limited, folder).checks[0].evidence
    some_runs(study_of(tmp_path), tmp_path, [1e6])  # by which the pace is known
    (check,) = ft.dry_run(limited, folder).checks
    assert "more than is left of" in check.evidence
    assert "and the target" in check.evidence
    verb = [sys.executable, "-m", "foretoken", "run", "own.toml"]
    study_of(tmp_path, target=True, launch='limit = "100 ms"')
    dry = subprocess.run([*verb, "--dry-run"], cwd=tmp_path, capture_output=True, text=True)
    assert check.evidence in dry.stdout
    with pytest.raises(LimitReachedError):
        ft.run(ft.load_study(tmp_path / "own.toml"), folder, listener := Notes())
    assert any(check.evidence.split(":")[0] in note for note in listener.notes)
    assert ft.dry_run(study_of(tmp_path, target=True, launch='limit = "900 hours"'), folder).checks == []
    assert ft.dry_run(study_of(tmp_path, target=True), folder).checks == []


class Notes(ProgressListener):
    """Keeps what a person is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_a_limit_moves_no_key(tmp_path: Path) -> None:
    plain, limited = (
        study_runner(study_of(tmp_path, launch=launch), tmp_path / "runs" / "own").planned_design()
        for launch in ("", 'limit = "1 hour"')
    )
    assert [run.key for run in plain.all_runs] == [run.key for run in limited.all_runs]


def test_a_command_has_the_gpus_of_its_size(tmp_path: Path) -> None:
    study_of(tmp_path, launch='gpus = [{ below = "2M", gpus = 0.5 }, { gpus = 2 }]')
    with (tmp_path / "train.py").open("a") as code:
        code.write("\nprint('sees', os.environ['CUDA_VISIBLE_DEVICES'], sys.argv[-1])\n")
    text = (tmp_path / "own.toml").read_text().replace("--fault ''", "--fault {gpus}")
    text = text.replace('["1M", "2M", "4M", "8M"]', '["1M", "2M", "4M"]')
    (tmp_path / "own.toml").write_text(text)
    study, folder = ft.load_study(tmp_path / "own.toml"), tmp_path / "runs" / "own"
    devices = [Device("5"), Device("6")]
    store = trained(study, folder, LocalLauncher(find=lambda: devices))
    seen: dict[float, set[str]] = {}
    for record in store.records():
        log = (folder / "runs" / record.spec.key / "command.log").read_text()
        gpus = study.launch.gpus_of(record.spec.parameters.total)
        seen.setdefault(gpus, set()).add(log.split("sees ")[1].strip())
    assert seen == {0.5: {"5 0.5"}, 2.0: {"5,6 2"}}
    assert len(store.records()) == 9


def test_more_gpus_or_memory_than_any_machine_has_is_refused_with_the_runs(tmp_path: Path) -> None:
    study = study_of(tmp_path, launch='gpus = [{ below = "5M", gpus = 1 }, { gpus = 8 }]')

    def refused(*devices: Device) -> str:
        with pytest.raises(ForetokenError) as refusal:
            ft.run(study, tmp_path / "runs" / "own", launcher=LocalLauncher(find=lambda: devices))
        assert not (tmp_path / "runs" / "own" / "runs").exists()
        return str(refusal.value)

    assert "8, 6 too many, for" in refused(Device("0"), Device("1"))
    assert "for 10 tokens per parameter (7.84M)" in refused(), refused()
    small = refused(*(Device(str(number), 1e6) for number in range(8)))
    assert "weights alone at 2 bytes a parameter" in small
    tight = study_runner(study, tmp_path / "runs" / "own", launcher=LocalLauncher(find=lambda: eight(20e6)))
    (check,) = [one for one in tight.design_checks(tight.planned_design()) if one.code == "gpu_memory"]
    assert "0.043 GB more" in check.evidence


def eight(memory: float) -> list[Device]:
    return [Device(str(number), memory) for number in range(8)]


def test_workers_follow_from_the_gpus_that_there_are(tmp_path: Path) -> None:
    def workers(launch: str, count: int) -> int:
        text = study_of(tmp_path, launch=launch).model_copy(deep=True)
        section = text.launch.model_copy(update={"workers": 0})
        devices = [Device(str(number)) for number in range(count)]
        launcher = LocalLauncher(find=lambda: devices)
        return study_runner(text.model_copy(update={"launch": section}), launcher=launcher).workers

    assert workers("gpus = 0.25", 3) == 12
    assert workers("gpus = 2", 5) == 2
    assert workers('gpus = [{ below = "2M", gpus = 0.5 }, { gpus = 2 }]', 2) == 4
    assert workers("", 3) == 1
