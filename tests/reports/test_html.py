"""Pieces of HTML: text never becomes markup, tables and sections are whole, checks are told in sentences."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretoken.fits.check import SEVERITIES as EVERY_SEVERITY
from foretoken.fits.check import Check
from foretoken.reports.html import (
    SEVERITIES,
    Html,
    as_sentence,
    checks_list,
    details,
    document,
    element,
    figure,
    join,
    section,
    table,
    with_code,
)

from .reader import Reader, cells, headings

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)> & \"'"
PLAIN = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Cf", "Zl", "Zp")), max_size=30)


def page(*parts: Html | None, **changes: str) -> str:
    """A document of these parts."""
    texts = {"title": "t", "kicker": "k", "description": "d", **changes}
    return document(texts["title"], texts["kicker"], texts["description"], parts, rebuild=texts.get("rebuild", ""))


@given(st.lists(st.lists(PLAIN, min_size=2, max_size=2), max_size=4))
def test_a_table_holds_what_it_was_given(rows):
    text = table(["a", "b"], rows)
    assert cells(text) == [[cell.replace("\u202f", " ") for cell in row] for row in rows]
    assert headings(text) == ["a", "b"]


def test_every_heading_says_that_it_is_of_a_column_and_the_box_can_be_scrolled_by_keyboard():
    text = table(["a", "b"], [[1, 2]])
    assert text.count('<th scope="col">') == 2
    assert 'tabindex="0"' in text
    assert 'role="region"' in text


@pytest.mark.parametrize("place", ["title", "kicker", "description", "rebuild"])
def test_a_hostile_text_stays_text_wherever_it_stands(place):
    text = page(element("p", "x"), **{place: HOSTILE})
    assert Reader(text).tags.count("script") == 1
    assert "<img" not in text


@pytest.mark.parametrize(
    "make",
    [
        lambda words: section(words, words, words),
        lambda words: details(words, words),
        lambda words: table([words], [[words]], class_=words),
        lambda words: figure(words, words, [Html("<svg></svg>")], words, element("p", words)),
        lambda words: checks_list([Check(words, "doubt", words, words)]),
        with_code,
    ],
)
def test_every_piece_escapes_what_it_is_given(make):
    text = make(HOSTILE)
    assert "<script" not in text
    assert "<img" not in text
    assert not re.search(r'="[^"]*<', text)


def test_void_elements_are_not_closed_and_attributes_that_are_none_are_left_out():
    assert element("br") == "<br>"
    assert element("p", class_=None, data_value=0) == '<p data-value="0"></p>'


@given(PLAIN, PLAIN)
def test_joining_escapes_each_and_skips_what_is_missing(first, second):
    assert join([first, None, second], "|") == element("p", first)[3:-4] + "|" + element("p", second)[3:-4]


@given(st.text("ab ._`!?", min_size=1, max_size=20))
def test_a_sentence_ends_once_and_twice_made_is_the_same(words):
    sentence = as_sentence(words)
    assert sentence.endswith((".", "!", "?"))
    assert as_sentence(sentence) == sentence
    assert len(sentence) - len(words) in (0, 1)


@pytest.mark.parametrize(
    ("words", "sentence"), [("8 runs", "8 runs."), ("few runs", "Few runs."), ("a_b is", "a_b is."), ("Why?", "Why?")]
)
def test_a_sentence_begins_with_a_capital_unless_an_id_does(words, sentence):
    assert as_sentence(words) == sentence


@pytest.mark.parametrize(
    ("words", "markup"),
    [
        ("`params` is", "<code>params</code> is"),
        ("no code", "no code"),
        ("one ` alone", "one ` alone"),
        ("`a` or `b`", "<code>a</code> or <code>b</code>"),
        ("`<b>`", "<code>&lt;b&gt;</code>"),
        ("", ""),
    ],
)
def test_what_stands_between_backticks_is_code(words, markup):
    assert with_code(words) == markup


@given(st.text("ab`< ", max_size=12))
def test_code_keeps_every_letter(words):
    text = "".join(Reader(element("p", with_code(words))).words)
    assert text.replace("`", "") == words.replace("`", "")


def test_each_severity_has_a_word_and_its_own_class():
    assert set(SEVERITIES) == set(EVERY_SEVERITY)
    for severity, word in SEVERITIES.items():
        text = checks_list([Check("few_runs", severity, "8 runs", "add runs")])
        assert f'<li class="{severity}">' in text
        assert Reader(text).text == f"{word} . 8 runs. Cure: add runs. few_runs"


def test_no_check_is_said_too():
    assert checks_list([]) == "<p>No check raised a doubt.</p>"


def test_a_figure_has_heading_panels_caption_and_numbers_in_this_order():
    text = figure("f", "It falls", [Html("<svg></svg>")], "What is drawn", table(["a"], [[1]]), columns=3)
    order = [text.index(part) for part in ("<h3>It falls", "<svg>", "<figcaption>", "<summary>", "<table>")]
    assert order == sorted(order)
    assert 'class="panels across-3"' in text


def test_the_foot_has_the_command_only_where_there_is_one():
    assert "Rebuild it with" not in page()
    assert "<code>foretoken plan</code>" in page(rebuild="foretoken plan")


def test_parts_that_are_none_leave_nothing_behind():
    assert page(None, element("p", "x"), None) == page(element("p", "x"))


def test_a_page_says_its_language_its_width_and_both_colour_schemes():
    text = page()
    assert text.startswith('<!doctype html>\n<html lang="en">')
    assert 'content="width=device-width, initial-scale=1"' in text
    assert 'name="color-scheme" content="light dark"' in text


def test_a_document_names_no_folder_of_its_maker():
    command = "foretoken plan --compute 1e22 --fit /home/ann/fit.json '--html=/home/ann/my pages/plan.html'"
    text = document("/home/ann/runs.csv", "k", "d", [], rebuild=command)
    assert "/home" not in text
    assert "foretoken plan --compute 1e22 --fit fit.json" in text
    assert "<h1>runs.csv</h1>" in text
