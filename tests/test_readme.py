"""The README's example sentence is what the demo says of its own runs, as they come with the package."""

from __future__ import annotations

from pathlib import Path

import foretoken as ft
from foretoken.designs import Recipe, TokenSource, make_design
from foretoken.forecasts import ledger
from foretoken.reports.study_page import verdict_sentence
from foretoken.reports.study_results import StudyResults

README = Path(__file__).parents[1] / "README.md"
TEXT = TokenSource(address="stdlib", tokenizer="byte", eval_set="v", vocabulary=256, train_tokens=10**9)
REACHED = 1.3372
"""Loss of the demo's target, seed 0, in nats per token (docs/journal.md, "The quickstart, seeds 0 to 4")."""


def test_the_example_sentence_is_that_of_the_demos_page(tmp_path: Path) -> None:
    study = ft.load_study("quickstart")
    design = make_design(Recipe(study=study, source=TEXT, torch_version="", bfloat16=False), 1)
    table = ft.read_table("sample")
    planned = sorted((run.parameters.total, run.tokens) for run in design.runs)
    assert sorted(zip(table.frame["params_total"], table.frame["tokens"], strict=True)) == planned
    fit, target = ft.fit(table, study.forecast.law, level=study.forecast.level, seed=study.seed), design.target
    forecast = ft.predict(
        fit, params=target.parameters.total, tokens=target.tokens, flops=target.flops, level=study.forecast.level
    )
    entry = ledger.freeze(tmp_path / "target.json", forecast, fit=fit, rivals={}, conventions={})
    results = StudyResults(
        name=study.name, settings_json={}, table=table, records=[], fit=fit, entry=entry, outcome=entry.score(REACHED)
    )
    sentence = verdict_sentence(results).replace("\u202f", " ")
    assert sentence in " ".join(README.read_text().split()), f"the demo now says: {sentence}"
