"""Jobs on a cluster with SLURM, submitted by submitit: an array of workers, each taking one job of ours after another.

The driver and its workers share a folder and nothing else: no connection is open between them. A worker that comes to
its time limit, or whose place is wanted for somebody else, saves and leaves; what it had goes on in another place.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import tempfile
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from foretoken.errors import ForetokenError, StoreError, needing
from foretoken.launchers.array_worker import ALONE_SECONDS, BEAT_SECONDS, OVER, PULSE
from foretoken.launchers.launcher import Job, Machine, Note, OnEvent, go_on, ignore
from foretoken.launchers.local import this_machine
from foretoken.launchers.mailbox import Mailbox
from foretoken.launchers.messages import Left
from foretoken.launchers.pool import PoolLauncher
from foretoken.launchers.slurm_commands import State, States, cancel_waiting, check_script, find_partition
from foretoken.launchers.slurm_worker import SlurmWorker, become_worker
from foretoken.launchers.worker_state import Inbox, Patience, Worker, end_all
from foretoken.runs.schema import LaunchSection
from foretoken.store.atomic import delete_file, delete_folder, read_json, write_file, write_json, writing

MACHINE = "foretoken.launchers.local:machine_job"
SIGNAL_SECONDS = 90
"""Time before its limit at which a worker is told to save."""
TIMES, SPARE_MINUTES, LEAST_MINUTES = 2.0, 10, 15
"""The time limit of workers: so many times the estimate, and so many minutes for their start."""
ENDING_SECONDS = 15.0
"""How long the workers of a driver that was killed are waited for."""
SAID = "to_driver"
"""What a worker has said in a life, in the folder of that."""
PATIENCE = Patience(without_beat=300.0, without_report=60.0, saving=120.0, ending=10.0)


class SlurmLauncher(PoolLauncher):
    """Workers that SLURM starts, on the partition and with the options that `[launch]` says."""

    def __init__(self, section: LaunchSection, patience: Patience = PATIENCE) -> None:
        super().__init__(patience)
        self.section, self.states = section, States()
        self.minutes: float = section.time_minutes or LEAST_MINUTES
        self.home: Home | None = None

    @property
    def is_local(self) -> bool:
        """Whether the workers are started by submitit on this machine."""
        return self.section.executor == "local"

    def prepare(self, jobs: Sequence[Job], workers: int, threads: int) -> None:
        """End the workers that wait and have less time left than these jobs take.

        `launch` raises MissingExtraError where submitit is not installed, and ForetokenError where SLURM takes no job.
        """
        self.minutes = self.section.time_minutes or self._limit(jobs, workers)
        short: list[Worker] = [
            worker for worker in self.idle if isinstance(worker, SlurmWorker) and worker.minutes < self.minutes
        ]
        self.idle[:] = [worker for worker in self.idle if worker not in short]
        end_all(short, self.patience.ending)

    def start(self, count: int, threads: int, gpus: float, log: Path, inbox: Inbox) -> list[Worker]:
        """So many workers, as one array."""
        home = self._home(log)
        folders = [home.new_worker() for _ in range(count)]
        executor, here, started_in = self._executor(home.folder, count, threads, gpus), log.resolve(), os.getcwd()
        try:
            with executor.batch():
                jobs = [executor.submit(become_worker, started_in, str(one), str(here), threads) for one in folders]
        except Exception as error:
            # submitit raises errors of many kinds, all of them because sbatch did not take the job.
            got = str(error).strip().split("\n")[-1]
            raise ForetokenError("SLURM took no jobs", got=got, cure="see the options of [launch]") from error
        home.note([job.job_id for job in jobs])
        # submitit leaves links to its scripts, and a study's folder holds plain files alone.
        for link in home.folder.glob(".submission_file_*"):
            delete_file(link)
        return [
            SlurmWorker(folder, job, self._state_of(job), self.minutes, threads, log, inbox)
            for folder, job in zip(folders, jobs, strict=True)
        ]

    def measure(self, log: Path, *, on_event: OnEvent = ignore, check: Callable[[], None] = go_on) -> Machine:
        """What a job has on the partition: asked of one short job, once for each study's folder.

        Raises ForetokenError for a partition, an account or options that SLURM does not know, and (folder_not_shared)
        where the machines of the partition do not see the study's folder.
        """
        _submitit()
        if self.is_local:
            return this_machine()
        partition = find_partition(self.section.partition)
        if (asked := self.section.time_minutes or 0) > partition.minutes:
            raise ForetokenError(
                "no job of the partition may take as long as launch.time_minutes",
                expected=f"at most {partition.minutes:g}",
                got=str(asked),
                cure="lower it: workers that come to their limit save, and go on in another place",
            )
        with tempfile.TemporaryDirectory() as elsewhere:
            for gpus in self._classes:
                script = Path(elsewhere) / "job.sh"
                script.write_text(self.batch_script(Path(elsewhere), gpus=gpus))
                check_script(script)
        path, asked_json = log.parent / "slurm" / "machine.json", self._place_json()
        with contextlib.suppress(StoreError, TypeError, KeyError):
            known = read_json(path)
            if known["place"] == asked_json:
                return Machine.from_json(known["machine"])
        # A job sees the GPUs that it was given, and not those of its machine.
        machine_json = {**self._ask_machine(log, on_event, check), "count": partition.nodes, "gpus": None}
        write_json(path, {"place": asked_json, "machine": machine_json})
        return Machine.from_json(machine_json)

    @property
    def _classes(self) -> list[float]:
        """GPUs of a worker, for each class of sizes."""
        return [one.gpus for one in self.section.gpus] or [0.0]

    def batch_scripts(self, folder: Path, workers: int) -> str:
        """What sbatch is given for each class of sizes, one after another; at most so many workers at a time."""
        return "\n".join(self.batch_script(folder, workers, gpus=gpus) for gpus in dict.fromkeys(self._classes))

    def batch_script(self, folder: Path, workers: int = 1, threads: int = 1, gpus: float = 0.0) -> str:
        """The script that is given to sbatch for an array of so many workers, whose output lies in `folder`."""
        executor = self._executor(folder, workers, threads, gpus, script_only=True)
        executor.parameters["map_count"] = workers
        text: str = executor._make_submission_file_text(executor._submitit_command_str, "")
        return text

    def close(self) -> None:
        """End the workers, and tell those that do not hear it that this driver is gone."""
        super().close()
        if self.home:
            self.home.close()
            sweep(self.home.folder)
            self.home = None

    def _limit(self, jobs: Sequence[Job], workers: int) -> float:
        seconds = [job.seconds for job in jobs]
        needed = TIMES * (sum(seconds) / max(1, min(workers, len(jobs))) + max(seconds)) / 60 + SPARE_MINUTES
        # Workers that come to a limit go on after it, so the partition's own is no reason to refuse.
        most = math.inf if self.is_local else find_partition(self.section.partition).minutes
        return min(max(LEAST_MINUTES, math.ceil(needed)), most)

    def _executor(self, folder: Path, workers: int, threads: int, gpus: float, script_only: bool = False) -> Any:
        submitit, section = _submitit(), self.section
        folder = folder.resolve()
        if self.is_local and not script_only:
            executor = submitit.LocalExecutor(folder)
            executor.update_parameters(timeout_min=self.minutes, signal_delay_s=SIGNAL_SECONDS, gpus_per_node=int(gpus))
            return executor
        named = {"partition": section.partition, "account": section.account, "qos": section.qos}
        more = {name: value for name, value in section.options.items() if value is not False}
        executor = (_script_maker(submitit) if script_only else submitit.SlurmExecutor)(folder)
        executor.update_parameters(
            job_name="foretoken",
            time=int(self.minutes),
            cpus_per_task=threads,
            array_parallelism=workers,
            signal_delay_s=SIGNAL_SECONDS,
            additional_parameters={"requeue": True, **more},
            **({"gpus_per_node": int(gpus)} if gpus else {}),
            **{name: value for name, value in named.items() if value},
        )
        return executor

    def _state_of(self, job: Any) -> Callable[[str, float], State]:
        if not self.is_local:
            return self.states.of
        return lambda name, since: State("RUNNING" if job.state == "RUNNING" else "COMPLETED", time.monotonic())

    def _place_json(self) -> dict[str, Any]:
        section = self.section
        return {"partition": section.partition, "options": section.options, "gpus": self._classes}

    def _ask_machine(self, log: Path, on_event: OnEvent, check: Callable[[], None]) -> dict[str, Any]:
        text = "a short job asks what a machine of SLURM's is, once for this study: it waits in the queue as others do"
        on_event("machine", Note(text))
        (outcome,) = super().launch(
            MACHINE,
            [Job("machine", {}, 0.0, self._classes[0])],
            workers=1,
            threads=1,
            log=log,
            on_event=on_event,
            check=check,
        )
        end_all(self.idle, self.patience.ending)
        if outcome.error:
            raise ForetokenError(
                f"no job of SLURM could say what its machine is; is {log.parent.resolve()} on a disk that all share?",
                got=outcome.error,
                cure="start foretoken in a folder that all machines share; see the output of the job there",
                code="folder_not_shared",
            )
        machine_json: dict[str, Any] = outcome.result_json
        return machine_json

    def _home(self, log: Path) -> Home:
        if self.home is None:
            end_leftovers(log.parent / "slurm", in_queue=not self.is_local)
            self.home = Home(log.parent / "slurm")
        return self.home


def _submitit() -> ModuleType:
    with needing("launch.kind = 'slurm'", "slurm"):
        import submitit
    module: ModuleType = submitit
    return module


def _script_maker(submitit: ModuleType) -> Any:
    """A class of submitit's that writes scripts where there is no SLURM, too."""
    return type("ScriptMaker", (submitit.SlurmExecutor,), {"affinity": classmethod(lambda cls: 1)})


class Home:
    """The folder of one launcher."""

    def __init__(self, root: Path) -> None:
        self.folder = (root / f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:6]}").resolve()
        self.numbers, over = itertools.count(), threading.Event()
        with writing(self.folder):
            self.folder.mkdir(parents=True)
        write_file(self.folder / PULSE, b"0")
        threading.Thread(target=_pulsate, args=(self.folder, over), daemon=True).start()
        # Also when nobody closes the launcher; but not when its process is killed.
        self.close = weakref.finalize(self, _end, self.folder, over)

    def new_worker(self) -> Path:
        """An empty folder for another worker."""
        folder = self.folder / f"worker-{next(self.numbers):04d}"
        with writing(folder):
            folder.mkdir()
        return folder

    def note(self, jobs: list[str]) -> None:
        """Keep the names of submitted jobs, for whoever comes after a driver that was killed."""
        with writing(self.folder), open(self.folder / "jobs", "a") as file:
            file.writelines(f"{job}\n" for job in jobs)


def _pulsate(folder: Path, over: threading.Event) -> None:
    for number in itertools.count(1):
        if over.wait(BEAT_SECONDS):
            return
        with contextlib.suppress(ForetokenError, OSError):  # a full disk: the workers will think that they are alone
            write_file(folder / PULSE, str(number).encode())


def _end(folder: Path, over: threading.Event) -> None:
    over.set()
    with contextlib.suppress(ForetokenError, OSError):
        if folder.is_dir():
            write_file(folder / PULSE, OVER.encode())


def end_leftovers(root: Path, in_queue: bool) -> None:
    """End the workers of drivers that were killed: those under way save and end, those in a queue are cancelled.

    The study is ours now, so whatever else works for it works for nobody; what it saves, we go on from.
    """
    orphaned = [path for path in root.glob(f"*/{PULSE}") if path.read_text() != OVER]
    for pulse in orphaned:
        names = pulse.parent / "jobs"
        if in_queue and names.is_file():
            cancel_waiting(names.read_text().split())
        write_file(pulse, OVER.encode())
    last = time.monotonic() + ENDING_SECONDS
    busy = [life for pulse in orphaned for life in _newest_lives(pulse.parent)]
    while busy and time.monotonic() < last:
        time.sleep(0.2)
        busy = [path for path in busy if not _has_left(path)]
    for pulse in root.glob(f"*/{PULSE}"):
        sweep(pulse.parent)


def sweep(home: Path) -> None:
    """Remove the folder of a launcher that is over, where each of its workers has left or never begun.

    Of others what they have printed is kept, to tell why; the rest goes when none can be alive any more.
    """
    with contextlib.suppress(ForetokenError, OSError):
        if all(_is_through(worker) for worker in home.glob("worker-*")):
            delete_folder(home)
        elif (home / PULSE).stat().st_mtime < time.time() - 2 * ALONE_SECONDS:
            for worker in home.glob("worker-*"):
                delete_folder(worker)
            for path in (*home.glob("*_submitted.pkl"), *home.glob("*_result.pkl"), *home.glob("*_submission.sh")):
                delete_file(path)


def _newest_lives(home: Path) -> list[Path]:
    """What each worker of a home has said in its newest life, where that was not long ago."""
    said = [life / SAID for life in map(_newest_life, home.glob("worker-*")) if life]
    # Of workers that were killed with their driver nothing is to be expected.
    recent = time.time() - 3 * BEAT_SECONDS
    return [path for path in said if path.is_file() and path.stat().st_mtime > recent and not _has_left(path)]


def _newest_life(worker: Path) -> Path | None:
    """The folder of a worker's newest life: one that left may have been requeued, and begins without a word."""
    return max(worker.glob("life-*"), key=_life_number, default=None)


def _life_number(life: Path) -> int:
    """Of the folder of a life: the tenth comes after the ninth, though not as a text."""
    number = life.name.removeprefix("life-")
    return int(number) if number.isdecimal() else -1


def _is_through(worker: Path) -> bool:
    """Whether a worker has never begun, or has said in its newest life that it leaves."""
    newest = _newest_life(worker)
    return newest is None or _has_left(newest / SAID)


def _has_left(path: Path) -> bool:
    return any(isinstance(message, Left) for message in Mailbox(path).read())
