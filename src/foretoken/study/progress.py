"""What a study tells while it runs: to a listener, and to progress.json for `status`."""

from __future__ import annotations

import time
from typing import Any

from foretoken.runs.record import RunRecord
from foretoken.runs.spec import RunSpec
from foretoken.store.atomic import delete_file, write_json
from foretoken.store.store import Store

PROGRESS = "progress.json"
PROGRESS_SECONDS = 2.0


class ProgressListener:
    """What a study tells while it runs. This one is silent; the command line has a live one."""

    def phase(self, text: str) -> None:
        """A new part of the line begins."""

    def note(self, text: str) -> None:
        """Something that a person should know, and that stays on the screen."""

    def training(self, runs: list[RunSpec], seconds: dict[str, float]) -> None:
        """These runs will be trained, with their estimated seconds by key."""

    def progress(self, key: str, step: int, steps: int, loss: float | None) -> None:
        """A run is at this step, with this training loss."""

    def ended(self, record: RunRecord) -> None:
        """A run has a record now."""

    def close(self) -> None:
        """Nothing more will come."""


class Progress:
    """Passes events of the workers on to the listener, and to progress.json for `status`."""

    def __init__(self, store: Store, listener: ProgressListener) -> None:
        self.store, self.listener = store, listener
        self.path = store.folder / PROGRESS
        self.running: dict[str, dict[str, Any]] = {}
        self.written = 0.0

    def event(self, job: str, event: dict[str, Any]) -> None:
        """Take what a worker reports of one run."""
        key = event.get("run")
        if key is None:
            return
        if "ended" in event:
            self.running.pop(key, None)
            record = self.store.record(key)
            if record is not None:
                self.listener.ended(record)
            if not event.get("agrees", True):
                self.listener.note(
                    f"run {key} was trained twice and gave two results: training is not deterministic here"
                )
        else:
            self.running[key] = {"step": event["step"], "steps": event["steps"], "loss": event["loss"]}
            self.listener.progress(key, event["step"], event["steps"], event["loss"])
        if time.monotonic() - self.written > PROGRESS_SECONDS:
            write_json(self.path, self.running)
            self.written = time.monotonic()

    def clear(self) -> None:
        """Nothing is under way any more."""
        delete_file(self.path)
