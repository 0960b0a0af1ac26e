"""A realistic small study, without any training: 22 runs at four budgets on shared trunks, one diverged, a target."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from foretoken.compute.parameters import count_parameters
from foretoken.compute.shape import ModelShape
from foretoken.designs import Design
from foretoken.fits.fit import fit
from foretoken.fits.result import Fit
from foretoken.forecasts.entry import Entry
from foretoken.forecasts.predict import predict
from foretoken.forecasts.rivals import rival_forecasts
from foretoken.reports.study_results import CorpusFacts, StudyResults, TrainingCost
from foretoken.routes.isoflop import isoflop
from foretoken.runs.record import CurvePoint, RunCounts, RunRecord
from foretoken.runs.spec import RunSpec
from foretoken.runs.study_file import Study
from foretoken.runs.table import RunTable, table_from_records

BUDGETS = (1.25e11, 2.5e11, 5e11, 1e12)
SHAPES = ((1, 12), (1, 16), (2, 16), (2, 24), (2, 32), (3, 32), (3, 48), (4, 48))
BATCH = 2048


def true_loss(params: float, tokens: float) -> float:
    """The law behind the synthetic runs."""
    return 0.9 + 40.0 * params**-0.42 + 250.0 * tokens**-0.42


def spec_of(layers: int, width: int, tokens: float, group: str) -> RunSpec:
    """A planned run of this size."""
    shape = ModelShape(layers=layers, width=width, heads=1, context=128, vocabulary=256, norm="rms",
                       positions="rotary", activation="swiglu", bias=False, tied=True)  # fmt: skip
    return RunSpec(
        shape=shape,
        tokens=max(1, round(tokens / BATCH)) * BATCH,
        batch_tokens=BATCH,
        learning_rate=6e-3,
        warmup_tokens=20 * BATCH,
        schedule="wsd",
        cooldown=0.2,
        final_learning_rate_share=0.0,
        weight_decay=0.1,
        beta1=0.9,
        beta2=0.95,
        clip=1.0,
        precision="float32",
        threads=1,
        seed=0,
        corpus="python-stdlib-3f2a9c",
        tokenizer="byte-256",
        eval_set="python-stdlib-validation-81c2",
        eval_tokens=131_072,
        software="recipe 1, torch 2.13.0",
        group=group,
    )


def curve_of(spec: RunSpec, loss: float, noise: np.random.Generator) -> list[list[float]]:
    """A training curve that ends at the loss: a trunk that depends on the size alone, then a cooldown."""
    start = spec.tokens - spec.cooldown_steps * BATCH
    points = np.unique(np.geomspace(4 * BATCH, spec.tokens, 60).round())
    curve = []
    for tokens in points:
        params = spec.parameters.total
        trunk = true_loss(params, tokens) + 0.14 + 3.6 * math.exp(-tokens / 6e4)
        share = max(0.0, (tokens - start) / (spec.tokens - start))
        value = trunk + (loss - trunk) * share**0.7 + 0.012 * float(noise.standard_normal())
        curve.append([float(tokens), value])
    return curve


def record_of(spec: RunSpec, noise: np.random.Generator, status: str = "finished") -> RunRecord:
    """What training that run would have given."""
    loss = true_loss(spec.parameters.total, spec.tokens) * math.exp(0.0035 * float(noise.standard_normal()))
    curve = curve_of(spec, loss, noise)
    finished = status == "finished"
    if not finished:
        curve = [*curve[:38], [curve[38][0], 4.1], [curve[39][0], 9.0]]
    return RunRecord(
        spec=spec,
        status=status,
        loss=loss if finished else None,
        loss_se=0.0041 if finished else None,
        bits_per_byte=loss / math.log(2) if finished else None,
        curve=tuple(CurvePoint(*point) for point in curve),
        parent=spec.trunk,
        tokens_trained=spec.tokens,
        seconds=spec.flops / 1.1e10,
        tokens_per_second=2.1e4,
        mfu=0.31,
        kwh=spec.flops / 1.1e10 * 25 / 3.6e6,
        kwh_source="estimate",
        device="2 x86-64 cores",
        finished_at="2026-01-31T12:34:56.789+00:00",
        version="0.1.0",
        events=() if finished else ("diverged at step 812: loss 9.0",),
    )


def ladder_records(noise: np.random.Generator) -> list[RunRecord]:
    """Five or six sizes at each of four budgets; the last of them diverged."""
    records = []
    for rank, budget in enumerate(BUDGETS):
        for layers, width in SHAPES[max(0, rank - 1) : max(0, rank - 1) + 5 + rank % 2]:
            shape = spec_of(layers, width, BATCH, "").shape
            per_token = spec_of(layers, width, BATCH, "").flops / BATCH
            assert count_parameters(shape).total
            records.append(record_of(spec_of(layers, width, budget / per_token, f"{budget:.3g}"), noise))
    records[-1] = record_of(records[-1].spec, noise, "diverged")
    return records


@dataclasses.dataclass(frozen=True)
class Material:
    """The parts of a study, from which each test takes what it needs."""

    ladder: list[RunRecord]
    target: RunRecord
    whole: StudyResults

    def study(self, **changes: Any) -> StudyResults:
        """The whole study with some of its parts replaced."""
        return dataclasses.replace(self.whole, **changes)


def make_material() -> Material:
    """Build ladder, target, fit and frozen forecast."""
    noise = np.random.default_rng(7)
    ladder = ladder_records(noise)
    target_spec = spec_of(4, 56, 8e12 / (spec_of(4, 56, BATCH, "").flops / BATCH), "target")
    target = record_of(target_spec, noise)
    table = table_from_records(ladder, "runs/quickstart")
    law = fit(table, draws=60)
    entry = entry_of(law, target_spec)
    assert target.loss is not None
    outcome = entry.score(
        target.loss, started_at="2026-01-31T12:20:02.000+00:00", finished_at="2026-01-31T12:24:56.789+00:00"
    )
    whole = StudyResults(
        name="quickstart",
        settings_json=Study.model_validate({"name": "quickstart", "design": {"budgets": list(BUDGETS)}}).model_dump(),
        table=table_from_records([*ladder, target], "runs/quickstart"),
        records=[*ladder, target],
        fit=law,
        isoflop=isoflop(table),
        entry=entry,
        outcome=outcome,
        design=Design([record.spec for record in ladder], target_spec),
        corpus=CorpusFacts(source="python-stdlib", tokens=11_234_567, bytes=11_234_567, sha256="9f" * 32),
        counts=RunCounts(planned=23, finished=22, diverged=1),
        cost=TrainingCost(seconds=512.0, kwh=0.0071, kwh_source="estimate", machine="2 x86-64 cores, Linux"),
        commands=("foretoken run studies/quickstart.toml", "foretoken report studies/quickstart.toml"),
        version="0.1.0",
    )
    return Material(ladder, target, whole)


def entry_of(law: Fit, target: RunSpec) -> Entry:
    """The forecast of the target by the law, as the ledger keeps it."""
    size, tokens = float(target.parameters.total), float(target.tokens)
    return Entry(
        name="target.json",
        forecast=predict(law, params=size, tokens=tokens, flops=target.flops),
        compute_factor=target.flops / law.ranges.flops.high,
        frozen_at="2026-01-31T12:20:01.250+00:00",
        law=law.law,
        forecast_parameters=law.map_parameters,
        parameters=law.parameters,
        noise=law.noise,
        bootstrap=law.bootstrap,
        params_column=law.params_column,
        data_sha256=law.data_sha256,
        records=[run.run for run in law.runs],
        rivals=rival_forecasts(law, flops=target.flops),
        conventions={"params": "params_total"},
    )


@pytest.fixture(scope="session")
def material() -> Material:
    """A finished study in its parts."""
    return make_material()


@pytest.fixture(scope="session")
def make_table() -> Callable[[list[RunRecord]], RunTable]:
    """Records to a table."""
    return lambda records: table_from_records(records, "runs/quickstart")
