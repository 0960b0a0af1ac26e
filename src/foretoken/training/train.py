"""RunSpecs -> RunRecords: the runs of one trunk, or one run alone, from wherever an earlier process left off."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foretoken._version import __version__
from foretoken.compute.energy import EnergyMeter
from foretoken.compute.hardware import processor_name
from foretoken.data import TokenizedCorpus, open_corpus, windows
from foretoken.errors import StoreError
from foretoken.runs.record import CurvePoint, RunRecord
from foretoken.runs.schema import KeepWeights
from foretoken.runs.spec import RunSpec
from foretoken.store.atomic import guarded
from foretoken.store.checkpoints import delete_all
from foretoken.store.store import Store
from foretoken.store.weights import keeps
from foretoken.training.checkpoint import Checkpoint, latest_checkpoint
from foretoken.training.evaluate import evaluate
from foretoken.training.export import keep_weights
from foretoken.training.loop import Diverged, advance
from foretoken.training.state import TrainState, utc_now
from foretoken.training.torch_setup import set_up

Report = Callable[[dict[str, Any]], None]
TELL_SECONDS = 0.5
"""Time between two reports of progress."""


class Stopped(Exception):
    """The user asked to stop; the state is saved."""


@dataclass(frozen=True, kw_only=True)
class WorkerContext:
    """Where and beside what a run is trained; nothing here changes its result."""

    folder: str
    """The study's folder."""
    corpus: str
    """The tokenised corpus."""
    peak_flops: float | None
    """Measured matmul peak of the run's threads, FLOP/s."""
    busy_threads: int
    """Threads that train on this machine at the same time, this run's included."""
    checkpoint_seconds: float = 20.0
    attempt: int | None = None
    """The attempt at the study that this training belongs to; None outside of a study."""
    keep_weights: KeepWeights = "none"
    """Whose final weights are kept: none, target, all."""


def train(
    specs: Sequence[RunSpec],
    workplace: WorkerContext,
    report: Report = lambda event: None,
    stop: Callable[[], bool] = lambda: False,
) -> list[RunRecord]:
    """Train runs that share a trunk (or one run), shortest first, and write a record of each to the store.

    A run that has a finished or diverged record is not trained again, unless its weights are to be kept and are not
    there. Raises Stopped after saving the state when `stop()` turns true, StoreError when the folder cannot be written
    (the checkpoint before stays), LeaseLostError when the study has a newer owner. Any other exception inside a run is
    recorded as `failed`, with its traceback.
    """
    store = Store(workplace.folder, workplace.attempt)
    set_up(specs[0].threads)
    corpus = open_corpus(Path(workplace.corpus))
    specs = sorted(specs, key=lambda spec: spec.tokens)
    trunk = _Trunk(specs, store, corpus, workplace, report, stop)
    with guarded(store.check_owner):
        for spec in specs:
            record = store.record(spec.key)
            lacking = store.lacks_weights(spec, workplace.keep_weights)
            if record is None or record.has_failed or lacking:
                record = trunk.branch(spec)
                agrees = store.put_record(record)
                delete_all(store.branch_folder(spec.key))
                report({"run": spec.key, "ended": record.status, "agrees": agrees})
            trunk.last_fork = spec.fork_step
        delete_all(trunk.folder)
    return [record for spec in specs if (record := store.record(spec.key))]


class _Trunk:
    """The common part of several runs, and the branches that leave it."""

    def __init__(
        self,
        specs: Sequence[RunSpec],
        store: Store,
        corpus: TokenizedCorpus,
        workplace: WorkerContext,
        report: Report,
        stop: Callable[[], bool],
    ) -> None:
        self.first, self.store, self.corpus, self.workplace = specs[0], store, corpus, workplace
        self.report, self.stop = report, stop
        self.folder = store.trunk_folder(self.first.trajectory)
        self.state = TrainState.start(self.first)
        self.last_fork = 0
        self.diverged: str | None = None
        self.events: list[str] = []

    def branch(self, spec: RunSpec) -> RunRecord:
        """Follow the trunk to where this run's cooldown begins, then finish the run on a copy."""
        meter = EnergyMeter(spec.threads, self.workplace.busy_threads)
        try:
            results = self._train(spec)
        except (Stopped, StoreError):
            raise
        except Exception as error:
            results = {"status": "failed", "error": _told(error)}
            self.state = TrainState.start(self.first)
        kwh, source = meter.read(results.get("seconds", 0.0))
        return RunRecord(
            spec=spec,
            parent=spec.trunk,
            unique_tokens=min(spec.sequences_trained, self._distinct_sequences()) * spec.shape.sequence_tokens,
            corpus_sha256=self.corpus.sources_sha256,
            kwh=kwh,
            kwh_source=source,
            device=processor_name(),
            started_at=self.state.started_at,
            finished_at=utc_now(),
            version=__version__,
            **results,
        )

    def _train(self, spec: RunSpec) -> dict[str, Any]:
        if self.diverged:
            return self._ended("diverged", self.diverged)
        try:
            self._to_fork(spec)
        except Diverged as error:
            self.diverged = str(error)
            return self._ended("diverged", self.diverged)
        fork = self.state.snapshot()
        try:
            return self._finish(spec)
        except Diverged as error:
            return self._ended("diverged", str(error))
        finally:
            self.state.restore(fork)
            self.state.seconds = 0.0

    def _ended(self, status: str, *events: str) -> dict[str, Any]:
        """What a record tells of the state as it is now."""
        return {
            "status": status,
            "curve": tuple(CurvePoint(*point) for point in self.state.curve),
            "seconds": self.state.seconds,
            "skipped_steps": self.state.skipped_steps,
            "events": (*self.events, *self.state.events, *events),
        }

    def _to_fork(self, spec: RunSpec) -> None:
        fork = spec.fork_step
        saved = self._newest(self.folder, fork)
        if saved is not None and saved.step > self.state.step:
            self.state.restore(saved)
            self.events.append(f"resumed at step {saved.step}")
            if saved.step <= self.last_fork:
                self.state.seconds = 0.0
        self.last_fork = min(self.last_fork, self.state.step)
        self._advance(spec, fork, self.folder)

    def _distinct_sequences(self) -> int:
        return windows(self.corpus.train_tokens, self.first.objective.window(self.first.shape))

    def _finish(self, spec: RunSpec) -> dict[str, Any]:
        branch_folder = self.store.branch_folder(spec.key)
        saved = self._newest(branch_folder, spec.steps)
        if saved is not None:
            self.state.restore(saved)
        elif spec.cooldown_steps:
            self._save(self.folder)
        self._advance(spec, spec.steps, branch_folder)
        began = time.perf_counter()
        found = evaluate(self.state, spec, self.corpus)
        seconds = self.state.seconds + time.perf_counter() - began
        if keeps(spec, self.workplace.keep_weights):
            keep_weights(self.store.weights_folder(spec.key), self.state.network, spec, self.corpus)
        tokens = (spec.steps - self.last_fork) * spec.batch_tokens
        speed = tokens / self.state.seconds
        return {
            **self._ended("finished"),
            "loss": found.loss,
            "loss_se": found.loss_se,
            "bits_per_byte": self._bits_per_byte(found.loss),
            "by_position": found.by_position,
            "label_loss": found.label_loss,
            "tokens_trained": tokens,
            "seconds": seconds,
            "tokens_per_second": speed,
            "mfu": self._mfu(spec, speed),
        }

    def _bits_per_byte(self, loss: float) -> float | None:
        """Where every token is predicted; elsewhere it would not be one."""
        per_token = self.corpus.bytes_per_token
        return loss / math.log(2) / per_token if per_token and self.first.objective.is_causal else None

    def _advance(self, spec: RunSpec, until: int, folder: Path) -> None:
        last_saved = last_told = time.monotonic()

        def on_step(state: TrainState) -> None:
            nonlocal last_saved, last_told
            now = time.monotonic()
            if self.stop():
                self._save(folder)
                raise Stopped
            if now - last_saved >= self.workplace.checkpoint_seconds:
                self._save(folder)
                last_saved = now
            if now - last_told >= TELL_SECONDS:
                self._tell(spec)
                last_told = now

        self._tell(spec)
        advance(self.state, spec, self.corpus, until, on_step)

    def _save(self, folder: Path) -> None:
        self.state.snapshot().write(folder, self.workplace.attempt or 0)

    def _newest(self, folder: Path, at_most: int) -> Checkpoint | None:
        saved, troubles = latest_checkpoint(folder, at_most)
        self.events += troubles
        return saved

    def _tell(self, spec: RunSpec) -> None:
        loss = self.state.curve[-1][1] if self.state.curve else None
        self.report({"run": spec.key, "step": self.state.step, "steps": spec.steps, "loss": loss})

    def _mfu(self, spec: RunSpec, tokens_per_second: float) -> float | None:
        peak = self.workplace.peak_flops
        return spec.flops / spec.tokens * tokens_per_second / peak if peak else None


def _told(error: Exception) -> str:
    """An exception for the record: its cause in a word where it is known, then the traceback."""
    text = "".join(traceback.format_exception(error))
    if isinstance(error, MemoryError) or "can't allocate memory" in text:
        return f"out of memory: give the run a smaller batch or model, or fewer workers\n{text}"
    return text
