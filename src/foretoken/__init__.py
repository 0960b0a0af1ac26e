"""foretoken: know what a training run will give before you pay for it.

The flow, from left to right, and the packages that hold it:

    compute/     what a run costs, by arithmetic: shape, parameters, flops, hardware, energy
    laws/        formulas for losses, scores and choices, and published coefficients
    runs/        the waist: study_file, RunSpec -> RunRecord -> RunTable, and the store
    designs/     budget -> RunSpecs: isoflop, ladder, runs, target
    data/        text -> batches: corpora, tokenizers, packing, languages of known entropy
    models/      ModelShape -> network
    objectives/  network, inputs, targets -> loss
    training/    RunSpec -> RunRecord
    launchers/   map a function over jobs: processes on this machine
    generation/  trained network, text -> text: going on, filling masks and spans
    evals/       network -> scores: loss on a text, labelled tasks, tuning, metrics
    fits/        RunTable + Law -> Fit
    forecasts/   Fit -> Forecast, its rivals, and the ledger
    plans/       budget + Fit -> Plan: split, price, regret, recipe, and the ladder to run first
    reports/     Fit + Forecast -> figures and one self-contained page
    folder.py    a study's folder, read: status, table, forecast, report
    progress.py  what a study tells while it runs
    trainer.py   training a study's runs on this machine
    upkeep.py    care for a study's folder: what a run would do, what is wrong, what can go
    study.py     the whole line from one study file
    preview.py   what a study would run and take, before it is run
    cli/         one file per verb

Public names are imported when they are first used, so `import foretoken` is quick and needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from foretoken._version import __version__

if TYPE_CHECKING:
    from foretoken.compute.models import MODELS
    from foretoken.data.tokenizer_files import load_tokenizer, train_tokenizer
    from foretoken.data.tokenizer_measures import describe_tokenizer
    from foretoken.errors import ForetokenError
    from foretoken.evals import continue_training, evaluate, finetune
    from foretoken.fits import Fit, IsoflopFit, approaches, conventions, diagnose, fit, isoflop
    from foretoken.folder import report, status
    from foretoken.forecasts import BackTest, Forecast, backtest, predict
    from foretoken.forecasts.scores import freeze_run, place_run, score_ledger, score_run
    from foretoken.generation import fill_mask, infill, open_model, sample
    from foretoken.laws import LAWS, PUBLISHED, cite
    from foretoken.plans import Plan, compare, next_run, plan, trends
    from foretoken.preview import design, profile
    from foretoken.reports import page_of, save_page
    from foretoken.runs.spec import RunSpec
    from foretoken.runs.study_file import Study, load_study
    from foretoken.runs.table import RunTable, read_table
    from foretoken.study import run
    from foretoken.upkeep import prune, verify

PUBLIC = {
    "approaches": "foretoken.fits",
    "backtest": "foretoken.forecasts",
    "BackTest": "foretoken.forecasts",
    "cite": "foretoken.laws",
    "compare": "foretoken.plans",
    "continue_training": "foretoken.evals",
    "conventions": "foretoken.fits",
    "describe_tokenizer": "foretoken.data.tokenizer_measures",
    "design": "foretoken.preview",
    "diagnose": "foretoken.fits",
    "evaluate": "foretoken.evals",
    "fill_mask": "foretoken.generation",
    "Fit": "foretoken.fits",
    "finetune": "foretoken.evals",
    "fit": "foretoken.fits",
    "Forecast": "foretoken.forecasts",
    "ForetokenError": "foretoken.errors",
    "freeze_run": "foretoken.forecasts.scores",
    "infill": "foretoken.generation",
    "isoflop": "foretoken.fits",
    "IsoflopFit": "foretoken.fits",
    "LAWS": "foretoken.laws",
    "MODELS": "foretoken.compute.models",
    "load_study": "foretoken.runs.study_file",
    "load_tokenizer": "foretoken.data.tokenizer_files",
    "next_run": "foretoken.plans",
    "open_model": "foretoken.generation",
    "page_of": "foretoken.reports",
    "place_run": "foretoken.forecasts.scores",
    "Plan": "foretoken.plans",
    "plan": "foretoken.plans",
    "predict": "foretoken.forecasts",
    "profile": "foretoken.preview",
    "prune": "foretoken.upkeep",
    "PUBLISHED": "foretoken.laws",
    "read_table": "foretoken.runs.table",
    "report": "foretoken.folder",
    "run": "foretoken.study",
    "RunSpec": "foretoken.runs.spec",
    "RunTable": "foretoken.runs.table",
    "sample": "foretoken.generation",
    "save_page": "foretoken.reports",
    "score_ledger": "foretoken.forecasts.scores",
    "score_run": "foretoken.forecasts.scores",
    "status": "foretoken.folder",
    "Study": "foretoken.runs.study_file",
    "train_tokenizer": "foretoken.data.tokenizer_files",
    "trends": "foretoken.plans",
    "verify": "foretoken.upkeep",
}
"""Where each public name lives."""

__all__ = [
    "LAWS",
    "MODELS",
    "PUBLISHED",
    "BackTest",
    "Fit",
    "Forecast",
    "ForetokenError",
    "IsoflopFit",
    "Plan",
    "RunSpec",
    "RunTable",
    "Study",
    "__version__",
    "approaches",
    "backtest",
    "cite",
    "compare",
    "continue_training",
    "conventions",
    "describe_tokenizer",
    "design",
    "diagnose",
    "evaluate",
    "fill_mask",
    "finetune",
    "fit",
    "freeze_run",
    "infill",
    "isoflop",
    "load_study",
    "load_tokenizer",
    "next_run",
    "open_model",
    "page_of",
    "place_run",
    "plan",
    "predict",
    "profile",
    "prune",
    "read_table",
    "report",
    "run",
    "sample",
    "save_page",
    "score_ledger",
    "score_run",
    "status",
    "train_tokenizer",
    "trends",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name in PUBLIC:
        return getattr(import_module(PUBLIC[name]), name)
    raise AttributeError(f"module 'foretoken' has no attribute {name!r}")
