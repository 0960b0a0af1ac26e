"""How fast the machine of a launcher trains each shape: measured once per study, then read from its folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from foretoken.errors import StoreError
from foretoken.launchers.jobs import CALIBRATE, COMPARE_THREADS, CalibrationJob, Speed, ThreadsJob, ThreadSpeed
from foretoken.launchers.launcher import Job, Launcher, OnEvent, ignore
from foretoken.runs.spec import RunSpec
from foretoken.store.atomic import read_json, write_json
from foretoken.store.store import Store

FORWARD_SHARE = 1 / 3
"""Time of a token that is only evaluated, over that of one that is trained on: the backward pass takes as long as two
forward passes."""


CALIBRATION = "calibration.json"
"""In the folder of a study: the speeds that were measured on this machine."""
FALLBACK_FLOPS = 1e10
"""FLOP/s assumed for a shape that could not be measured (too large for the memory, say): its run will fail or tell."""


class Calibration:
    """Seconds per token of each shape, and the matmul peak, on the machine where the launcher runs its jobs."""

    def __init__(
        self,
        store: Store,
        launcher: Launcher,
        processor: str,
        gpus_of: Callable[[RunSpec], float] = lambda spec: 0.0,
        on_event: OnEvent = ignore,
    ) -> None:
        self.path, self.log = store.folder / CALIBRATION, store.folder / "log" / "workers.txt"
        self.launcher, self.processor, self.check = launcher, processor, store.check_owner
        self.gpus_of, self.on_event = gpus_of, on_event
        self.speeds, self.peaks = _known(self.path, processor)

    def measure(self, specs: Sequence[RunSpec], workers: int) -> None:
        """Time a few steps of each shape that is not known yet, `workers` processes side by side as in the study."""
        new = list({_speed_key(spec): spec for spec in specs if _speed_key(spec) not in self.speeds}.values())
        if not new:
            return
        # A guess of the time that is not known yet: launchers need its order, and no more than its order of magnitude.
        guesses = [spec.flops / spec.tokens / FALLBACK_FLOPS for spec in new]
        jobs = [
            Job(spec.key, CalibrationJob(spec).to_json(), guess, self.gpus_of(spec))
            for spec, guess in zip(new, guesses, strict=True)
        ]
        outcomes = self.launcher.launch(
            CALIBRATE,
            jobs,
            workers=workers,
            threads=new[0].threads,
            log=self.log,
            on_event=self.on_event,
            check=self.check,
        )
        by_key = {spec.key: spec for spec in new}
        for outcome in outcomes:
            spec = by_key[outcome.name]
            if outcome.error:
                self.speeds[_speed_key(spec)] = spec.flops / spec.tokens / FALLBACK_FLOPS
                continue
            speed, peak = Speed.from_json(outcome.result_json), _peak_key(spec)
            self.speeds[_speed_key(spec)] = speed.seconds_per_token
            # Other work only ever slows a measurement down, so the largest is the nearest to the truth.
            self.peaks[peak] = max(self.peaks.get(peak, 0.0), speed.peak_flops)
        write_json(self.path, {"machine": self.processor, "speeds": self.speeds, "peaks": self.peaks})

    def compare_threads(self, spec: RunSpec) -> list[ThreadSpeed]:
        """How fast the machine trains a run now with one thread and with all of the run's; nothing of it is kept.

        Empty where that cannot be measured.
        """
        job = Job(spec.key, ThreadsJob(spec, sorted({1, spec.threads})).to_json(), 0.0, self.gpus_of(spec))
        (outcome,) = self.launcher.launch(
            COMPARE_THREADS,
            [job],
            workers=1,
            threads=spec.threads,
            log=self.log,
            on_event=self.on_event,
            check=self.check,
        )
        return [] if outcome.error else [ThreadSpeed.from_json(speed_json) for speed_json in outcome.result_json]

    def seconds(self, spec: RunSpec, steps: int | None = None) -> float:
        """Estimated time of a run, or of `steps` of it, with its evaluation."""
        return self.seconds_per_token(spec) * work(spec, spec.steps if steps is None else steps)

    def seconds_per_token(self, spec: RunSpec) -> float:
        """Measured time of a token that a run's shape is trained on."""
        return self.speeds[_speed_key(spec)]

    def knows(self, spec: RunSpec) -> bool:
        """Whether the speed of a run's shape is measured."""
        return _speed_key(spec) in self.speeds

    def peak(self, spec: RunSpec) -> float | None:
        """Measured matmul peak for a run's threads and precision, FLOP/s; None when it could not be measured."""
        return self.peaks.get(_peak_key(spec))


def work(spec: RunSpec, steps: int) -> float:
    """Tokens that would take as long to train on as `steps` of a run and its evaluation take."""
    return steps * spec.batch_tokens + FORWARD_SHARE * spec.eval_tokens


def _known(path: Path, processor: str) -> tuple[dict[str, float], dict[str, float]]:
    """Speeds and peaks that were measured on this processor; none where the file is missing, damaged or another's."""
    try:
        known = read_json(path)
        # The folder may have been begun on another machine, whose speeds would give wrong times and a wrong MFU.
        speeds, peaks = ({str(k): float(v) for k, v in known[name].items()} for name in ("speeds", "peaks"))
        return (speeds, peaks) if known["machine"] == processor else ({}, {})
    except (StoreError, KeyError, TypeError, AttributeError, ValueError):
        return {}, {}


def _speed_key(spec: RunSpec) -> str:
    values = [spec.shape.to_json(), spec.batch_tokens, spec.threads, spec.precision, spec.software]
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:16]


def _peak_key(spec: RunSpec) -> str:
    return f"{spec.precision} on {spec.threads}"
