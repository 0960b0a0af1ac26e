"""foretoken: know what a training run will give before you pay for it.

The flow, from left to right, and the packages that hold it:

    compute/     what a run costs, by arithmetic: shape, parameters, flops, hardware, energy
    laws/        formulas for losses, scores and choices, and published coefficients
    runs/        the waist: study file, RunSpec -> RunRecord -> RunTable
    store/       a study's folder on disk: atomic writes, leases, checkpoints, integrity
    tasks/       what a model is scored on: questions, solved examples, tasks made by code
    designs/     budget -> RunSpecs: isoflop, ladder, runs, target
    data/        text -> batches: corpora, tokenizers, packing, languages of known entropy
    models/      ModelShape -> network
    objectives/  network, inputs, targets -> loss
    training/    RunSpec -> RunRecord
    own_trainer/ a command of the user's that trains a run: started, watched, read
    launchers/   map a function over jobs: processes on this machine, Ray, SLURM
    generation/  trained network, text -> text: continuing, filling masks and spans
    evals/       network -> scores: loss on a text, labelled tasks, fine-tuning, metrics
    scoring/     a model's scores on tasks: log-probabilities, choices, answers, perplexity
    fits/        RunTable + Law -> Fit
    routes/      RunTable -> N*(C), the best size at each budget, by every published method
    abilities/   table of scores -> verdicts: shapes, emergence, the way to a level, shots
    checks/      RunTable -> Diagnosis: what is doubtful about a table
    forecasts/   Fit -> Forecast, its rivals, and the ledger
    plans/       budget + Fit -> Plan: split, price, regret, recipe
    ladders/     budget + Fit -> the small runs to train first
    decisions/   two recipes -> which wins at a compute; many -> how well small runs rank them
    reports/     any result -> figures and one self-contained page
    study/       the whole line from one study file, and the care of its folder
    cli/         one file per verb

Public names are imported when they are first used, so `import foretoken` is quick and needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from foretoken._version import __version__

if TYPE_CHECKING:
    from foretoken.abilities import CountedAnswer, ScoreTable, read_scores, scores, tail
    from foretoken.abilities.downstream import downstream
    from foretoken.abilities.downstream_result import Downstream
    from foretoken.abilities.tail_result import Tail
    from foretoken.checks import conventions, diagnose
    from foretoken.compute.abilities import ABILITIES
    from foretoken.compute.models import MODELS
    from foretoken.data.counting import count_phrases
    from foretoken.data.text_index import index_text, index_tokens, open_index
    from foretoken.data.tokenizer_files import load_tokenizer, train_tokenizer
    from foretoken.data.tokenizer_measures import describe_tokenizer
    from foretoken.decisions import Decisions, Versus, decision_accuracy, versus
    from foretoken.errors import ForetokenError
    from foretoken.evals import continue_training, evaluate, finetune
    from foretoken.fits import Fit, fit
    from foretoken.forecasts import BackTest, Forecast, Forecasts, backtest, predict
    from foretoken.forecasts.anchor import check_anchor
    from foretoken.forecasts.ledger import freeze_run, place_run, score_ledger, score_run
    from foretoken.generation import fill_mask, infill, open_model, sample
    from foretoken.ladders.ladder import next_run
    from foretoken.laws import LAWS, PUBLISHED, cite
    from foretoken.laws.own import law
    from foretoken.plans.advice import compare
    from foretoken.plans.compute_trends import trends
    from foretoken.plans.planning import plan
    from foretoken.plans.result import Plan
    from foretoken.reports import page_of, save_page
    from foretoken.routes import IsoflopFit, approaches, isoflop
    from foretoken.runs.spec import RunSpec
    from foretoken.runs.study_file import Study, load_study
    from foretoken.runs.table import RunTable
    from foretoken.scoring import ModelScores, next_tokens, score, score_network
    from foretoken.store.read import read_table
    from foretoken.study import StudyStatus, design, dry_run, pause, profile, prune, report, run, status, verify
    from foretoken.study.by_hand import planned_commands, record, start_script
    from foretoken.study.new_study import init
    from foretoken.tasks import PromptTask, Question
    from foretoken.tasks.made import make_documents, make_task

PUBLIC = {
    "ABILITIES": "foretoken.compute.abilities",
    "approaches": "foretoken.routes",
    "backtest": "foretoken.forecasts",
    "BackTest": "foretoken.forecasts",
    "cite": "foretoken.laws",
    "compare": "foretoken.plans.advice",
    "continue_training": "foretoken.evals",
    "conventions": "foretoken.checks",
    "count_phrases": "foretoken.data.counting",
    "CountedAnswer": "foretoken.abilities",
    "describe_tokenizer": "foretoken.data.tokenizer_measures",
    "decision_accuracy": "foretoken.decisions",
    "Decisions": "foretoken.decisions",
    "design": "foretoken.study",
    "downstream": "foretoken.abilities.downstream",
    "Downstream": "foretoken.abilities.downstream_result",
    "dry_run": "foretoken.study",
    "diagnose": "foretoken.checks",
    "evaluate": "foretoken.evals",
    "fill_mask": "foretoken.generation",
    "Fit": "foretoken.fits",
    "finetune": "foretoken.evals",
    "fit": "foretoken.fits",
    "Forecast": "foretoken.forecasts",
    "Forecasts": "foretoken.forecasts",
    "ForetokenError": "foretoken.errors",
    "check_anchor": "foretoken.forecasts.anchor",
    "freeze_run": "foretoken.forecasts.ledger",
    "infill": "foretoken.generation",
    "init": "foretoken.study.new_study",
    "index_text": "foretoken.data.text_index",
    "index_tokens": "foretoken.data.text_index",
    "isoflop": "foretoken.routes",
    "IsoflopFit": "foretoken.routes",
    "law": "foretoken.laws.own",
    "LAWS": "foretoken.laws",
    "make_documents": "foretoken.tasks.made",
    "make_task": "foretoken.tasks.made",
    "MODELS": "foretoken.compute.models",
    "load_study": "foretoken.runs.study_file",
    "load_tokenizer": "foretoken.data.tokenizer_files",
    "ModelScores": "foretoken.scoring",
    "next_tokens": "foretoken.scoring",
    "PromptTask": "foretoken.tasks",
    "Question": "foretoken.tasks",
    "score": "foretoken.scoring",
    "score_network": "foretoken.scoring",
    "next_run": "foretoken.ladders.ladder",
    "open_index": "foretoken.data.text_index",
    "open_model": "foretoken.generation",
    "page_of": "foretoken.reports",
    "planned_commands": "foretoken.study.by_hand",
    "place_run": "foretoken.forecasts.ledger",
    "Plan": "foretoken.plans.result",
    "plan": "foretoken.plans.planning",
    "predict": "foretoken.forecasts",
    "profile": "foretoken.study",
    "prune": "foretoken.study",
    "pause": "foretoken.study",
    "PUBLISHED": "foretoken.laws",
    "read_table": "foretoken.store.read",
    "record": "foretoken.study.by_hand",
    "report": "foretoken.study",
    "start_script": "foretoken.study.by_hand",
    "run": "foretoken.study",
    "RunSpec": "foretoken.runs.spec",
    "RunTable": "foretoken.runs.table",
    "sample": "foretoken.generation",
    "save_page": "foretoken.reports",
    "read_scores": "foretoken.abilities",
    "scores": "foretoken.abilities",
    "ScoreTable": "foretoken.abilities",
    "score_ledger": "foretoken.forecasts.ledger",
    "score_run": "foretoken.forecasts.ledger",
    "status": "foretoken.study",
    "Study": "foretoken.runs.study_file",
    "StudyStatus": "foretoken.study",
    "tail": "foretoken.abilities",
    "Tail": "foretoken.abilities.tail_result",
    "train_tokenizer": "foretoken.data.tokenizer_files",
    "trends": "foretoken.plans.compute_trends",
    "verify": "foretoken.study",
    "versus": "foretoken.decisions",
    "Versus": "foretoken.decisions",
}
"""Where each public name lives."""

__all__ = [
    "ABILITIES",
    "LAWS",
    "MODELS",
    "PUBLISHED",
    "BackTest",
    "CountedAnswer",
    "Decisions",
    "Downstream",
    "Fit",
    "Forecast",
    "Forecasts",
    "ForetokenError",
    "IsoflopFit",
    "ModelScores",
    "Plan",
    "PromptTask",
    "Question",
    "RunSpec",
    "RunTable",
    "ScoreTable",
    "Study",
    "StudyStatus",
    "Tail",
    "Versus",
    "__version__",
    "approaches",
    "backtest",
    "check_anchor",
    "cite",
    "compare",
    "continue_training",
    "conventions",
    "count_phrases",
    "decision_accuracy",
    "describe_tokenizer",
    "design",
    "diagnose",
    "downstream",
    "dry_run",
    "evaluate",
    "fill_mask",
    "finetune",
    "fit",
    "freeze_run",
    "index_text",
    "index_tokens",
    "infill",
    "init",
    "isoflop",
    "law",
    "load_study",
    "load_tokenizer",
    "make_documents",
    "make_task",
    "next_run",
    "next_tokens",
    "open_index",
    "open_model",
    "page_of",
    "pause",
    "place_run",
    "plan",
    "planned_commands",
    "predict",
    "profile",
    "prune",
    "read_scores",
    "read_table",
    "record",
    "report",
    "run",
    "sample",
    "save_page",
    "score",
    "score_ledger",
    "score_network",
    "score_run",
    "scores",
    "start_script",
    "status",
    "tail",
    "train_tokenizer",
    "trends",
    "verify",
    "versus",
]


def __getattr__(name: str) -> Any:
    if name in PUBLIC:
        from foretoken.errors import needing

        with needing(f"foretoken.{name}"):
            return getattr(import_module(PUBLIC[name]), name)
    raise AttributeError(f"module 'foretoken' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
