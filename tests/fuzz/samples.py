"""Sound inputs of every kind, from which hostile ones are made."""

from __future__ import annotations

import json
import tempfile
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foretoken.fits import fit
from foretoken.runs.record import CurvePoint, RunRecord
from foretoken.runs.spec import RunSpec
from foretoken.runs.study_file import Study
from foretoken.runs.table import RunTable

STUDY: dict[str, Any] = {
    "name": "mini",
    "seed": 0,
    "corpus": {
        "source": "zipf_markov", "column": "text", "tokenizer": "byte", "vocabulary": 512, "validation_share": 0.1,
        "repeat": False, "language": {"symbols": 16, "order": 1, "exponent": 1.0, "tokens": 400_000},
    },
    "model": {"preset": "llama", "context": 32, "width_per_layer": 16.0, "norm": "rms", "positions": "rotary",
              "activation": "swiglu", "tied": True, "bias": False},
    "training": {
        "learning_rate": {"value": 6e-3, "at_params": 1e5, "exponent": -0.25}, "batch_tokens": {"value": 512},
        "warmup_share": 0.05, "schedule": "wsd", "cooldown": 0.2, "final_learning_rate_share": 0.0, "weight_decay": 0.1,
        "beta1": 0.9, "beta2": 0.95, "clip": 1.0, "dropout": 0.0, "spikes": {"policy": "stop", "sigmas": 6.0},
        "precision": "auto", "eval_tokens": 4096,
    },
    "objective": {"kind": "causal"},
    "design": {"kind": "isoflop", "budgets": [2e8, 4e8, 8e8], "sizes_per_budget": 4, "size_ratio": 1.6, "center": 20.0,
               "recenter_rounds": 1},
    "target": {"compute_factor": 3.0, "train": True},
    "launch": {"workers": 1, "target_threads": 1},
    "forecast": {"law": "coupled", "level": 0.9},
}  # fmt: skip
OWN_TRAINER: dict[str, Any] = {
    "name": "own",
    "trainer": {
        "command": "python train.py --dim {width * 2} --lr {learning_rate:.2e} --out {folder} {resume} {config}",
        "result": "result.json",
        "map": {"loss": "eval/loss"},
        "sizes": [
            {"width": 64, "layers": 2, "config": "a"},
            {"params": "2M", "config": "b"},
            {"params": 1e7, "config": "c"},
        ],
        "vocabulary": 512,
        "checkpoint": "*.pt",
        "resume": "--resume {folder}",
        "progress": "step (?P<step>[0-9]+)",
        "retries": 1,
    },
    "design": {"kind": "ladder", "tokens_per_param": [10, 20, 40]},
    "target": {"size": {"params": "40M", "config": "d"}},
    "launch": {"kind": "manual", "trackers": ["wandb"]},
}
LADDER = {**STUDY, "design": {"kind": "ladder", "params": ["10k", 20e3, 40e3], "tokens_per_param": [20.0, 40.0]}}


@cache
def runs() -> pd.DataFrame:
    """24 runs of 4 budgets, in canonical columns."""
    budget, step = (part.ravel() for part in np.mgrid[:4, :6])
    flops, N = 3e11 * 2.0**budget, 8e3 * 2 ** (0.5 * budget + 0.75 * step)
    loss = (0.7 + 30 / N**0.4 + 200 / (flops / 6 / N) ** 0.38) * np.exp(
        0.003 * np.random.default_rng(0).standard_normal(24)
    )
    names = {"run": [f"r{n}" for n in range(24)], "group": [f"{c:g}" for c in flops], "status": "finished"}
    labels = pd.DataFrame({**names, "eval_set": "v", "annealed": True, "parent": None})
    return labels.assign(params_total=N, tokens=flops / 6 / N, flops=flops, loss=loss)


@cache
def fit_json() -> dict[str, Any]:
    """A fit file's values, with few draws."""
    return fit(RunTable(runs(), "runs.csv"), "coupled", draws=50).to_json()


@cache
def study_files() -> dict[str, bytes]:
    """Every file of a finished study's folder, by its path in it; nothing was trained for it."""
    from foretoken.store.store import Store
    from foretoken.study import runner as study_runner

    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "mini"
        runner = study_runner.StudyRunner(Study.model_validate(STUDY), folder)
        design = runner.design()
        store = Store(folder)
        for run in design.runs:
            store.put_record(_record(run, datetime(2020, 1, 1, tzinfo=UTC)))
        entry = runner.freeze(design, runner.fit(design))
        store.put_record(_record(design.target, datetime.now(UTC) + timedelta(seconds=1)))
        runner.score(design, entry)
        runner.report(design)
        (folder / "progress.json").write_text("{}")
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _record(run: RunSpec, began: datetime) -> RunRecord:
    size, tokens = run.parameters.total, run.tokens
    loss = 0.9 + 40.0 * size**-0.42 + 250.0 * tokens**-0.42
    return RunRecord(
        spec=run, status="finished", loss=loss, loss_se=0.004, bits_per_byte=None, parent=run.trunk,
        curve=tuple(CurvePoint(tokens * part / 9, loss + 1 / part) for part in range(1, 10)), tokens_trained=tokens,
        seconds=1.0, tokens_per_second=1e5, mfu=0.3, kwh=1e-6, kwh_source="estimate", device="a processor",
        started_at=began.isoformat(), finished_at=began.isoformat(), version="0.1.0",
    )  # fmt: skip


@cache
def checkpoint_files() -> dict[str, bytes]:
    """The files of two checkpoints in one folder, of step 10 and 20."""
    import torch

    from foretoken.training.checkpoint import Checkpoint

    with tempfile.TemporaryDirectory() as folder:
        for step in (10, 20):
            tensors = {"weight": torch.full((4, 3), float(step)), "bias": torch.arange(3.0)}
            Checkpoint(tensors, {"step": step}).write(Path(folder))
        files = (path for path in Path(folder).rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@cache
def corpus_lines() -> bytes:
    """JSON lines with text in many scripts."""
    texts = [f"Story {n}: the {n % 13} bears met {n * n} foxes.\n\u2028汉字 é\x85" for n in range(60)]
    return "".join(
        json.dumps({"id": n, "text": text}, ensure_ascii=False) + "\n" for n, text in enumerate(texts)
    ).encode()
