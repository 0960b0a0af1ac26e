"""How a study was made: facts, settings, and the table of runs with what became of each."""

from __future__ import annotations

import dataclasses

import pandas as pd
import pytest

from foretoken.reports import CorpusFacts, TrainingCost
from foretoken.reports.html import element
from foretoken.reports.palette import budgets_of
from foretoken.reports.provenance import (
    CONVENTIONS,
    SHOWN,
    _cause,
    _facts,
    _failures,
    _flat_json,
    _ordered,
    _status,
    commands,
    provenance_section,
    run_table,
)
from foretoken.runs.table import RunTable, table_from_records

from .reader import Reader, cells, headings

HOSTILE = "</pre><img src=x onerror=alert(1)> & \"'"


def test_nested_settings_are_dotted_and_what_is_not_set_is_left_out():
    nested = {"name": "a", "design": {"budgets": [1.0], "grid": {"seed": 0}, "none": None}, "off": False}
    told = [("name", "a"), ("design.budgets", "[1.0]"), ("design.grid.seed", "0"), ("off", "False")]
    assert list(_flat_json(nested)) == told


def test_the_last_command_rebuilds_the_page_and_there_is_always_one(material):
    assert commands(material.whole)[-1] == "foretoken report studies/quickstart.toml"
    assert commands(material.study(commands=())) == ["foretoken report runs/quickstart"]


def test_no_folder_of_the_maker_is_shown(material):
    home = "/home/ann lee/runs"
    failed = dataclasses.replace(material.whole.records[0], error=f'File "{home}/train.py", line 3\nno /home/ann/a.bin')
    settings = {**material.whole.settings_json, "corpus": {"path": f"{home}/texts"}}
    study = material.study(
        commands=(f"foretoken run '{home}/mine.toml'", f"foretoken report '{home}/mine'"),
        settings_json=settings,
        records=[failed, *material.whole.records[1:]],
    )
    text = Reader(element("div", provenance_section(study), _failures(study))).text
    for kept in ("foretoken run 'mine.toml'", "foretoken report 'mine'", 'File "train.py", line 3', "texts"):
        assert kept in text
    assert "/home" not in text


def test_facts_are_those_of_the_study(material):
    told = {name: words.replace("\u202f", " ") for name, words in _facts(material.whole)}
    assert told["corpus"] == "python-stdlib, 11.2M tokens, 11.2M bytes"
    assert told["sha256 of the corpus"] == "9f" * 32
    assert told["objective"] == "causal"
    assert told["energy"] == "0.0071 kWh (estimate)"
    assert told["sha256 of the fitted rows"] == material.whole.fit.data_sha256
    assert told["foretoken"] == "0.1.0"
    design = material.whole.design
    share = 100 * design.total_flops / design.target.flops
    assert told["compute of the small runs"].endswith(f"FLOP, {share:.0f} % of the target's")


@pytest.mark.parametrize(
    ("changes", "absent"),
    [
        ({"corpus": None}, "corpus"),
        ({"cost": None}, "time"),
        ({"cost": TrainingCost(seconds=1.0)}, "energy"),
        ({"design": None}, "compute of the small runs"),
        ({"fit": None}, "sha256 of the fitted rows"),
        ({"records": []}, "objective"),
    ],
)
def test_what_is_not_known_is_left_out(material, changes, absent):
    assert absent in dict(_facts(material.whole))
    assert absent not in dict(_facts(material.study(**changes)))


def test_the_machine_is_the_runs_own_where_the_cost_names_none(material):
    told = dict(_facts(material.study(cost=TrainingCost(seconds=1.0))))
    assert told["machine"] == "2 x86-64 cores"
    assert dict(_facts(material.whole))["machine"] == "2 x86-64 cores, Linux"


def test_different_tokenizers_are_all_named(material):
    first, second = material.ladder[:2]
    other = dataclasses.replace(second, spec=dataclasses.replace(second.spec, tokenizer="bpe-300"))
    assert dict(_facts(material.study(records=[first, other])))["tokenizer"] == "bpe-300, byte-256"


def test_a_corpus_without_a_hash_has_a_dash(material):
    assert dict(_facts(material.study(corpus=CorpusFacts(source="x"))))["sha256 of the corpus"] == "—"


def test_conventions_say_what_each_letter_counts(material):
    rows = cells(provenance_section(material.whole))
    for name, words in CONVENTIONS:
        assert [name, words] in rows


def test_the_table_has_the_losses_of_every_run_in_order_of_budget_and_size(material):
    study = material.whole
    budgets = budgets_of(study.ladder)
    text = run_table(study, budgets)
    rows, ordered = cells(text), _ordered(study, budgets)
    column = headings(text).index("loss")
    for row, source in zip(rows, ordered, strict=True):
        assert row[column] == ("—" if pd.isna(source["loss"]) else f"{source['loss']:.4f}")
    assert ordered[-1]["group"] == "target"
    assert headings(text) == ["run", "budget", *(heading for heading, _ in SHOWN.values()), "status"]


def test_no_run_yet_is_a_sentence(material):
    assert "No run has ended yet." in run_table(material.study(table=RunTable(pd.DataFrame(), "x")), {})


def test_the_status_has_the_cause_of_a_bad_end_and_the_steps_that_were_skipped(material):
    good, bad = material.ladder[0], material.ladder[-1]
    assert _status({"status": "finished"}, good) == "finished"
    assert _status({"status": "finished"}, None) == "finished"
    assert _status({"status": "finished"}, dataclasses.replace(good, skipped_steps=3)) == "finished, 3 steps skipped"
    assert _status({"status": "diverged"}, bad) == "diverged: diverged at step 812: loss 9.0"


def test_the_cause_is_the_last_line_of_the_traceback_or_the_last_event(material):
    record = material.ladder[0]
    assert (
        _cause(dataclasses.replace(record, error="Traceback\n  line\nValueError: no memory\n"))
        == "ValueError: no memory"
    )
    assert _cause(dataclasses.replace(record, events=("resumed", "stopped"))) == "stopped"
    assert _cause(record) == ""


def test_tracebacks_are_whole_and_stay_text(material):
    lost = dataclasses.replace(material.ladder[0], status="failed", loss=None, curve=(), error=HOSTILE)
    study = material.study(records=[lost], table=table_from_records([lost], "x"))
    text = _failures(study)
    assert "img" not in Reader(text).tags
    assert HOSTILE in "".join(Reader(text).words)
    assert _failures(material.whole) is None
