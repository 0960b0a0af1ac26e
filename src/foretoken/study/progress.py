"""Progress of a study while it runs: to a listener, and to progress.json for `status`."""

from __future__ import annotations

import time

from foretoken.launchers.launcher import Ended, Event, Note, OnEvent, Silent, Step
from foretoken.runs.record import RunRecord
from foretoken.runs.spec import RunSpec
from foretoken.store.atomic import delete_file, write_json
from foretoken.store.store import Store

PROGRESS = "progress.json"
PAUSE = "pause"
"""The file by which anybody who sees the folder asks whoever runs the study to save and stop."""
PROGRESS_SECONDS = 2.0
"""Time between two writes of progress.json: each is flushed to the disk, which a study of short runs would feel."""


class ProgressListener:
    """Is called with what happens in a study. This one is silent; the command line has a live one."""

    def phase(self, text: str) -> None:
        """A new stage of the study begins."""

    def note(self, text: str) -> None:
        """Something that a person should know, and that stays on the screen."""

    def training(self, runs: list[RunSpec], seconds: dict[str, float]) -> None:
        """These runs will be trained, with their estimated seconds by key."""

    def progress(self, key: str, step: int, steps: int, loss: float | None) -> None:
        """A run is at this step, with this training loss."""

    def silent(self, key: str, seconds: float) -> None:
        """A run has said nothing for so long, many times its usual step; said about once a second until it does."""

    def ended(self, record: RunRecord) -> None:
        """A run has a record now."""

    def close(self) -> None:
        """Nothing more will come."""


def notes_to(listener: ProgressListener) -> OnEvent:
    """Passes notes on to a listener, and no other event."""
    return lambda job, event: listener.note(event.text) if isinstance(event, Note) else None


class Progress:
    """Passes the events of jobs on to the listener, and to progress.json for `status`."""

    def __init__(self, store: Store, listener: ProgressListener) -> None:
        self.store, self.listener = store, listener
        self.path = store.folder / PROGRESS
        self.unsealed: set[str] = set()
        """Keys of the runs that have ended since records were sealed."""
        self.running: dict[str, Step] = {}
        """The newest step of each run under way, by its key."""
        self.newest: dict[str, str] = {}
        """The run that each job is at, by the job's name."""
        self.written = 0.0

    def report(self, job: str, event: Event) -> None:
        """Take what a job reports."""
        match event:
            case Step(run, step, steps, loss):
                self.running[run], self.newest[job] = event, run
                self.listener.progress(run, step, steps, loss)
            case Ended(run, _, agrees):
                self._end(run, agrees)
            case Silent(seconds) if job in self.newest:
                self.listener.silent(self.newest[job], seconds)
            case Note(text):
                self.listener.note(text)
        if time.monotonic() - self.written > PROGRESS_SECONDS:
            rows = {key: {"step": at.step, "steps": at.steps, "loss": at.loss} for key, at in self.running.items()}
            write_json(self.path, rows)
            self._seal()
            self.written = time.monotonic()

    def _end(self, run: str, agrees: bool) -> None:
        self.running.pop(run, None)
        self.unsealed.add(run)
        record = self.store.record(run)
        if record is not None:
            self.listener.ended(record)
        if not agrees:
            self.listener.note(f"run {run} was trained twice and gave two results: training is not deterministic here")

    def clear(self) -> None:
        """Nothing is under way any more."""
        self._seal()
        delete_file(self.path)

    def _seal(self) -> None:
        if self.unsealed:
            self.store.seal_records(self.unsealed)
            self.unsealed = set()
