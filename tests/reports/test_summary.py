"""The first screen of a page: the sentence, the doubts that matter, the facts; and what was assumed."""

from __future__ import annotations

import pytest

from foretoken.fits.check import Check
from foretoken.reports.summary import assumed_section, lead

from .reader import Reader

NOTE = Check("n", "note", "a note", "read it")
DOUBT = Check("d", "doubt", "few runs of `params`", "add runs")
REFUSAL = Check("r", "refusal", "one size", "add sizes")
HOSTILE = "<img src=x onerror=alert(1)> & \"'"


@pytest.mark.parametrize("checks", [[], [NOTE], [NOTE, NOTE]])
def test_notes_raise_no_warning(checks):
    assert "Read with care" not in lead("It falls.", [], checks)


def test_doubts_and_refusals_are_told_in_order_as_sentences():
    text = lead("It falls.", [], [REFUSAL, NOTE, DOUBT])
    assert '<p class="doubt">Read with care: One size. Few runs of <code>params</code>.</p>' in text


def test_facts_have_a_name_a_value_and_a_remark_only_where_there_is_one():
    text = lead("It falls.", [("Runs", "12", "3 left out"), ("Time", "2 s", "")])
    assert "<dt>Runs</dt><dd>12<small>3 left out</small></dd>" in text
    assert "<dt>Time</dt><dd>2 s</dd>" in text


def test_the_sentence_stands_before_the_doubts_and_these_before_the_facts():
    text = lead("It falls.", [("Runs", "12", "")], [DOUBT])
    order = [text.index(part) for part in ("It falls.", "Read with care", "<dl>")]
    assert order == sorted(order)


def test_nothing_of_the_first_screen_becomes_markup():
    check = Check("c", "doubt", HOSTILE, HOSTILE)
    text = lead(HOSTILE, [(HOSTILE, HOSTILE, HOSTILE)], [check]) + assumed_section([HOSTILE])
    assert "<img" not in text
    assert Reader(text).tags.count("small") == 1


def test_without_assumptions_there_is_no_section_and_with_them_each_is_a_sentence():
    assert assumed_section([]) is None
    assert Reader(assumed_section(["N is `params`", "compute is 6 N D"])).text == (
        "What was assumed N is params . Compute is 6 N D."
    )
