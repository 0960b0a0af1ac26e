"""The page of a diagnosis: verdicts, checks, conventions and the waterfall, from results made by hand."""

from __future__ import annotations

import dataclasses

import pytest

from foretoken.checks.conventions import Convention, Conventions, LargestModel
from foretoken.checks.diagnose import Diagnosis, Unchecked
from foretoken.checks.waterfall import Step, with_changes
from foretoken.fits.check import Check
from foretoken.fits.parts import Dropped, RowCounts
from foretoken.reports import page_of
from foretoken.reports.diagnosis_page import (
    _conventions_title,
    _sentence,
    _waterfall_lines,
    _waterfall_title,
    conventions_section,
    waterfall_figure,
)

from .reader import Reader, cells

NONE = Conventions(entries=[], waterfall=[], surface="params_total", absent=[], reason="the table has one size")
CLEAN = Diagnosis(
    checks=[],
    rows=RowCounts(used=12, dropped=[]),
    params_column="params_total",
    flops="as recorded",
    assumed=[],
    conventions=NONE,
)
DOUBT = Check("few_budgets", "doubt", "2 budgets", "add `flops` budgets")
REFUSAL = Check("one_size", "refusal", "every run has 1M parameters", "vary the size")
NOTE = Check("rounded", "note", "losses have 2 digits", "give more")
LAW_COUNT = Convention("params_total", "exact", 0.51, [0.48, 0.55], 0.3, LargestModel(1e21, 2e9))
STEPS = with_changes(
    [
        Step("as published", 0.73, [0.7, 0.76], None),
        Step("no fit", None, None, None),
        Step("head counted", 0.61, None, None, parabola=0.6, budgets=3, of_budgets=5),
        Step("all counted", 0.65, [0.6, 0.7], None),
    ]
)


@pytest.mark.parametrize(
    ("checks", "sentence"),
    [
        ([], "No check that the columns allow raises a doubt about these 12 runs."),
        ([NOTE], "No check that the columns allow raises a doubt about these 12 runs."),
        ([DOUBT, NOTE], "1 doubt about this table of 12 usable runs."),
        ([DOUBT, DOUBT], "2 doubts about this table of 12 usable runs."),
        ([REFUSAL, DOUBT], "No law should be fitted to this table: every run has 1M parameters."),
    ],
)
def test_the_worst_check_decides_the_sentence(checks, sentence):
    assert _sentence(dataclasses.replace(CLEAN, checks=checks)) == sentence


def test_a_clean_table_says_so_in_every_section():
    text = page_of(CLEAN)
    page = Reader(text).text
    assert "No check fired." in page
    assert "The columns allow every check." in page
    assert "The table has one size." in page
    assert "Read with care" not in page
    assert "none left out" in page


def test_checks_have_a_row_each_with_severity_evidence_cure_and_code():
    found = dataclasses.replace(CLEAN, checks=[REFUSAL, DOUBT, NOTE], rows=RowCounts(9, [Dropped("no loss", 3)]))
    text = page_of(found)
    assert cells(text)[:3] == [
        ["Refused", "Every run has 1M parameters.", "Vary the size.", "one_size"],
        ["Doubt", "2 budgets.", "Add flops budgets.", "few_budgets"],
        ["Note", "Losses have 2 digits.", "Give more.", "rounded"],
    ]
    assert "<code>flops</code> budgets" in text
    assert "3 left out" in Reader(text).text


def test_a_note_is_no_reason_to_read_with_care():
    assert "Read with care" not in Reader(page_of(dataclasses.replace(CLEAN, checks=[NOTE]))).text


def test_what_was_not_checked_names_the_columns_that_would_allow_it():
    missing = Unchecked("tokens seen more than once", ("repeated_tokens",), ("unique_tokens", "epochs"))
    found = dataclasses.replace(CLEAN, unchecked=[missing])
    assert ["Tokens seen more than once.", "unique_tokens or epochs", "repeated_tokens"] in cells(page_of(found))


@pytest.mark.parametrize(
    ("exponents", "title"),
    [
        ([0.5], "The exponent of N* is 0.500 in the one count that the columns allow"),
        ([0.5, 0.5001], "Counting does not move the exponent of N*: it is 0.500 in all 2 counts"),
        ([0.6, 0.45, 0.5], "Counting alone moves the exponent of N* from 0.450 to 0.600"),
    ],
)
def test_the_title_says_whether_counting_matters(exponents, title):
    assert _conventions_title(exponents) == title


def test_conventions_are_told_with_interval_prefactor_and_largest_size():
    others = [dataclasses.replace(LAW_COUNT, params="params_non_embedding", exponent=0.57)]
    found = Conventions([LAW_COUNT, *others], [], "params_total", ["N active"])
    text = conventions_section(found)
    assert cells(text)[0] == ["params total", "exact", "0.510", "[0.480, 0.550]", "0.300", "2.00B"]
    assert cells(text)[1][0] == "params non embedding"
    assert "The columns do not allow: N active." in Reader(text).text


def test_a_step_without_an_exponent_leaves_a_gap_and_the_next_bar_begins_where_the_last_ended():
    lines = _waterfall_lines(STEPS, [None] * 4)
    assert [line.start for line in lines] == [0.73, 0.73, 0.73, 0.61]
    assert [line.text for line in lines] == ["0.730", "no exponent", "0.610 (−0.120)", "0.650 (+0.040)"]


def test_the_title_names_the_largest_step_in_either_direction():
    known = [step for step in STEPS if step.exponent is not None]
    assert _waterfall_title(known).endswith("the largest step, −0.120, is: head counted")
    rising = with_changes([Step("a", 0.4, None, None), Step("b", 0.7, None, None), Step("c", 0.6, None, None)])
    assert _waterfall_title(rising) == "From 0.400 to 0.600; the largest step, 0.300, is: b"
    assert _waterfall_title(known[:1]) == "Too few steps with an exponent"


def test_the_table_of_a_waterfall_has_dashes_where_nothing_is_known():
    rows = cells(waterfall_figure(STEPS, (0.73, None, 0.6)))
    assert rows[1] == ["no fit", "—", "—", "", "—", "—", ""]
    assert rows[2] == ["head counted", "0.610", "—", "−0.120", "0.600", "0.600", "3 of 5"]
    assert rows[3][4] == "—"
