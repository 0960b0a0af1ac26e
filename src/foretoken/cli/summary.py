"""The text that the command line prints for a result, for `result.summary()` of Python."""

from __future__ import annotations

from importlib import import_module

from foretoken.cli.printing import text_of
from foretoken.results import Result

SHOWN = {
    "Approaches": "approaches.show",
    "BackTest": "backtest.show",
    "Comparison": "compare.show",
    "ContinuedTraining": "continue_training.show",
    "Conventions": "diagnose.show_conventions",
    "Decisions": "versus.show_decisions",
    "Diagnosis": "diagnose.show",
    "Downstream": "downstream.show",
    "DryRun": "run.show_plan",
    "Entry": "ledger.show_entry",
    "FinetuneResult": "finetune.show",
    "Fit": "fit.show",
    "Forecast": "predict.show",
    "Forecasts": "predict.show_all",
    "LedgerSummary": "ledger.show_summary",
    "ModelScores": "score.show",
    "NextTokens": "score.show_next",
    "NextRun": "next_run.show",
    "Outcome": "ledger.show_outcome",
    "PhraseCounts": "count.show",
    "PlacedPoint": "ledger.show_point",
    "Plan": "plan.show",
    "Scores": "scores.show",
    "StudyDesign": "design.show",
    "StudyStatus": "printing.print_status",
    "Tail": "tail.show",
    "TextLoss": "evaluate.show",
    "Trends": "trends.show",
    "Versus": "versus.show",
}
"""What prints each result, below `foretoken.cli`; others are told by their repr."""


def summary_of(result: Result) -> str:
    """The text of a result as its verb prints it, or its repr where no verb does.

    >>> from foretoken.plans import plan
    >>> summary_of(plan("5.76e23", law="besiroglu_2024")).splitlines()[0][:5]
    'train'
    """
    shown = next((SHOWN[kind.__name__] for kind in type(result).__mro__ if kind.__name__ in SHOWN), None)
    if shown is None:
        return repr(result)
    module, name = shown.split(".")
    return text_of(getattr(import_module(f"foretoken.cli.{module}"), name), result)
