"""RunSpecs -> RunRecords: the runs of one trunk, or one run alone, from wherever an earlier process left off."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from foretoken._version import __version__
from foretoken.compute.energy import EnergyMeter
from foretoken.compute.hardware import processor_name
from foretoken.data import TokenizedCorpus, open_corpus, windows
from foretoken.errors import StoreError
from foretoken.launchers.jobs import TrainingJob, WorkerContext
from foretoken.launchers.launcher import Ended, Report, Step, Stop
from foretoken.models import Network
from foretoken.runs.record import CurvePoint, RunRecord, RunStatus
from foretoken.runs.spec import RunSpec
from foretoken.store import clock
from foretoken.store.atomic import guarded
from foretoken.store.checkpoints import delete_all
from foretoken.store.scores import drop_unsettled
from foretoken.store.store import Store
from foretoken.store.weights import wants_weights
from foretoken.training.checkpoint import Checkpoint, keep_weights, latest_checkpoint
from foretoken.training.evaluate import evaluate
from foretoken.training.loop import Diverged, advance
from foretoken.training.state import TrainState
from foretoken.training.torch_setup import set_up

REPORT_SECONDS = 0.5
"""Time between two reports of progress."""


class Scorer(Protocol):
    """Scores networks on tasks as they are trained, and keeps what they score."""

    def lacks(self, spec: RunSpec) -> bool:
        """Whether any scores of a run are missing."""
        ...

    def wants(self, spec: RunSpec, step: int) -> bool:
        """Whether the network of a run is to be scored at a step and has not been."""
        ...

    def first_wanted(self, spec: RunSpec) -> int | None:
        """The first step before its end at which the network of a run is yet to be scored; None where there is none."""
        ...

    def score_kept(self, spec: RunSpec) -> bool:
        """Score the kept weights of a run; False where they are not kept, or it is to be scored on its way."""
        ...

    def score(self, specs: Sequence[RunSpec], step: int, network: Network, corpus: TokenizedCorpus) -> None:
        """Score a network that some runs share at a step."""
        ...


class Stopped(Exception):
    """The user asked to stop; the state is saved."""


def train(
    specs: Sequence[RunSpec],
    context: WorkerContext,
    report: Report = lambda event: None,
    stop: Stop = lambda: False,
    scorer: Scorer | None = None,
) -> list[RunRecord]:
    """Train runs that share a trunk (or one run), shortest first, and write a record of each to the store.

    A run that has a finished or diverged record is not trained again, unless its weights are to be kept and are not
    there. Raises Stopped after saving the state when `stop()` turns true, StoreError when the folder cannot be written
    (the checkpoint before stays), LeaseLostError when the study has a newer owner. Any other exception inside a run is
    recorded as `failed`, with its traceback.
    """
    store = Store(context.folder, context.attempt)
    set_up(specs[0].threads)
    corpus = open_corpus(context.corpus)
    specs = sorted(specs, key=lambda spec: spec.tokens)
    trunk = _Trunk(specs, store, corpus, context, report, stop, scorer)
    with guarded(store.check_owner):
        for spec in specs:
            record = store.record(spec.key)
            lacking = store.lacks_weights(spec, context.keep_weights)
            # Weights that were kept are scored as they are: other tasks cost no training.
            if scorer and scorer.lacks(spec):
                lacking = lacking or not scorer.score_kept(spec)
            if record is None or record.has_failed or lacking:
                record = trunk.branch(spec)
                # The record first: checkpoints that outlive it are deleted later, a record without either is lost work.
                agrees = store.put_record(record)
                delete_all(store.branch_folder(spec.key))
                report(Ended(spec.key, record.status, agrees))
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
        context: WorkerContext,
        report: Report,
        stop: Stop,
        scorer: Scorer | None,
    ) -> None:
        self.specs, self.scorer = specs, scorer
        self.first, self.store, self.corpus, self.context = specs[0], store, corpus, context
        self.report, self.stop = report, stop
        self.folder = store.trunk_folder(self.first.trajectory)
        self.state = TrainState.start(self.first)
        self.last_fork = 0
        self.diverged: str | None = None
        self.events: list[str] = []

    def branch(self, spec: RunSpec) -> RunRecord:
        """Follow the trunk to where this run's cooldown begins, then finish the run on a copy."""
        meter = EnergyMeter(spec.threads, self.context.threads_in_use)
        try:
            record = self._train(spec)
        except (Stopped, StoreError):
            raise
        except Exception as error:
            record = RunRecord(spec=spec, status="failed", error=_failure_text(error))
            self.state = TrainState.start(self.first)
        kwh, source = meter.read(record.seconds)
        return replace(
            record,
            parent=spec.trunk,
            unique_tokens=min(spec.sequences_trained, self._distinct_sequences()) * spec.shape.sequence_tokens,
            corpus_sha256=self.corpus.sources_sha256,
            kwh=kwh,
            kwh_source=source,
            device=processor_name(),
            started_at=self.state.started_at,
            finished_at=clock.now(),
            version=__version__,
        )

    def _train(self, spec: RunSpec) -> RunRecord:
        if self.diverged:
            return self._record(spec, "diverged", self.diverged)
        try:
            self._to_fork(spec)
        except Diverged as error:
            self.diverged = str(error)
            return self._record(spec, "diverged", self.diverged)
        # The next branch goes on from here, so whatever the cooldown does to the state is undone below.
        fork = self.state.snapshot()
        try:
            return self._finish(spec)
        except Diverged as error:
            return self._record(spec, "diverged", str(error))
        finally:
            self.state.restore(fork)
            self.state.seconds = 0.0

    def _record(self, spec: RunSpec, status: RunStatus, *events: str) -> RunRecord:
        """A record of the state as it is now; without the results, which only a run that has finished has."""
        return RunRecord(
            spec=spec,
            status=status,
            curve=tuple(CurvePoint(*point) for point in self.state.curve),
            seconds=self.state.seconds,
            skipped_steps=self.state.skipped_steps,
            events=(*self.events, *self.state.events, *events),
        )

    def _to_fork(self, spec: RunSpec) -> None:
        fork = spec.fork_step
        saved = self._newest(self.folder, fork, self.specs)
        if saved is not None and saved.step > self.state.step:
            self.state.restore(saved)
            self.events.append(f"resumed at step {saved.step}")
            if saved.step <= self.last_fork:
                self.state.seconds = 0.0
        self.last_fork = min(self.last_fork, self.state.step)
        self._advance(spec, fork, self.folder)

    def _distinct_sequences(self) -> int:
        return windows(self.corpus.train_tokens, self.first.objective.window(self.first.shape))

    def _finish(self, spec: RunSpec) -> RunRecord:
        branch_folder = self.store.branch_folder(spec.key)
        saved = self._newest(branch_folder, spec.steps, [spec])
        if saved is not None:
            fork = self.state.step
            self.state.restore(saved)
            if saved.step < fork:  # this branch alone went back, beyond where it left the trunk
                self._drop_scores(spec, branch_folder)
        elif spec.cooldown_steps:
            self._save(self.folder)
        self._advance(spec, spec.steps, branch_folder)
        # Weights are saved before the record is: a record must not promise weights that are not there.
        began = time.perf_counter()
        evaluation = evaluate(self.state, spec, self.corpus)
        seconds = self.state.seconds + time.perf_counter() - began
        self._score([spec], spec.steps)
        if wants_weights(spec, self.context.keep_weights):
            keep_weights(self.store.weights_folder(spec.key), self.state.network, spec, self.corpus)
        tokens = (spec.steps - self.last_fork) * spec.batch_tokens
        speed = tokens / self.state.seconds
        return replace(
            self._record(spec, "finished"),
            loss=evaluation.loss,
            loss_se=evaluation.loss_se,
            bits_per_byte=self._bits_per_byte(evaluation.loss),
            by_position=evaluation.by_position,
            label_loss=evaluation.label_loss,
            tokens_trained=tokens,
            seconds=seconds,
            tokens_per_second=speed,
            mfu=self._mfu(spec, speed),
        )

    def _bits_per_byte(self, loss: float) -> float | None:
        """Where every token is predicted; elsewhere it would not be one."""
        per_token = self.corpus.bytes_per_token
        return loss / math.log(2) / per_token if per_token and self.first.objective.is_causal else None

    def _advance(self, spec: RunSpec, until: int, folder: Path) -> None:
        last_saved = last_reported = time.monotonic()
        reached = self.state.step

        def sharing(step: int) -> list[RunSpec]:
            """Whose state this is, too: on the trunk that of every run that leaves it later."""
            return [one for one in self.specs if one is spec or (folder == self.folder and step <= one.fork_step)]

        def on_step(state: TrainState) -> None:
            nonlocal last_saved, last_reported, reached
            now = time.monotonic()
            if state.step < reached:
                # Before the state is saved: a resumed run must not find scores of a network that it will not have.
                self._drop_scores(spec, folder)
            reached = state.step
            if state.step < spec.steps:
                self._score(sharing(state.step), state.step)
            if self.stop():
                self._save(folder)
                raise Stopped
            if now - last_saved >= self.context.checkpoint_seconds:
                self._save(folder)
                last_saved = now
            if now - last_reported >= REPORT_SECONDS:
                self._report_step(spec)
                last_reported = now

        self._report_step(spec)
        advance(self.state, spec, self.corpus, until, on_step)

    def _score(self, specs: Sequence[RunSpec], step: int) -> None:
        """Score the network of those of the runs that are to be scored at this step, on the way or at the end."""
        if self.scorer and (wanted := [spec for spec in specs if self.scorer.wants(spec, step)]):
            self.scorer.score(wanted, step, self.state.network, self.corpus)

    def _drop_scores(self, spec: RunSpec, folder: Path) -> None:
        """After going back: those beyond this step, of the run or, on the trunk, of all that have not left it."""
        for one in self.specs[self.specs.index(spec) :] if folder == self.folder else [spec]:
            drop_unsettled(self.store.folder, one, self.state.step)

    def _save(self, folder: Path) -> None:
        self.state.snapshot().write(folder, self.context.attempt or 0)

    def _newest(self, folder: Path, at_most: int, specs: Sequence[RunSpec]) -> Checkpoint | None:
        """The newest checkpoint, but none beyond a step at which some of the runs are yet to be scored."""
        # Scores come before the checkpoint of their step, so only steps that were asked for later can be behind one.
        wanted = [self.scorer.first_wanted(spec) for spec in specs] if self.scorer else []
        at_most = min([at_most, *(step - 1 for step in wanted if step is not None)])
        saved, troubles = latest_checkpoint(folder, at_most)
        self.events += troubles
        return saved

    def _report_step(self, spec: RunSpec) -> None:
        loss = self.state.curve[-1][1] if self.state.curve else None
        self.report(Step(spec.key, self.state.step, spec.steps, loss))

    def _mfu(self, spec: RunSpec, tokens_per_second: float) -> float | None:
        peak = self.context.peak_flops
        return spec.flops / spec.tokens * tokens_per_second / peak if peak else None


def _failure_text(error: Exception) -> str:
    """An exception for the record: its cause in a word where it is known, then the traceback."""
    text = "".join(traceback.format_exception(error))
    if isinstance(error, MemoryError) or "can't allocate memory" in text:
        return f"out of memory: give the run a smaller batch or model, or fewer workers\n{text}"
    return text


def train_job(job_json: Mapping[str, Any], report: Report, stop: Stop) -> dict[str, str]:
    """What a launcher calls with a `TrainingJob`: the status of each run by its key, nothing when it was stopped."""
    job = TrainingJob.from_json(job_json)
    try:
        records = train(job.runs, job.context, report, stop)
    except Stopped:
        return {}
    return {record.spec.key: record.status for record in records}
