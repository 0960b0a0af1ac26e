"""The page of published laws: each law's own split of compute, with its sources and its counts."""

from __future__ import annotations

import re

import pytest

from foretoken.laws import PUBLISHED, find_law
from foretoken.reports.published_page import COMPUTES, LARGE, Advice, _advice, _colour, _exponent, _ratios, _sources
from foretoken.reports.svg import ACCENT, INK, MUTED

from .reader import cells, headings, read_number

ADVICES = [advice for name, entry in PUBLISHED.items() if (advice := _advice(name, entry)) is not None]
NAMES = [advice.name for advice in ADVICES]


@pytest.mark.parametrize("advice", ADVICES, ids=NAMES)
def test_every_split_spends_the_compute(advice):
    for flops, params, tokens in zip(COMPUTES, advice.params, advice.tokens, strict=True):
        assert 6 * params * tokens == pytest.approx(flops, rel=1e-6)


@pytest.mark.parametrize("advice", ADVICES, ids=NAMES)
def test_more_compute_never_asks_for_a_smaller_model(advice):
    assert advice.params == sorted(advice.params)
    assert 0 < _exponent(advice) < 1


def test_laws_that_do_not_split_compute_give_no_advice():
    for name, entry in PUBLISHED.items():
        assert (_advice(name, entry) is None) == (find_law(entry.law).optimum is None)
    assert len(ADVICES) >= 10


def test_the_table_of_ratios_is_in_order_and_true_to_the_laws():
    rows = cells(_ratios(ADVICES))
    assert sorted(row[0] for row in rows) == sorted(NAMES)
    shown = [read_number(row[1 + LARGE]) for row in rows]
    assert shown == sorted(shown)
    by_name = {advice.name: advice for advice in ADVICES}
    for row in rows:
        assert read_number(row[1 + LARGE]) == pytest.approx(by_name[row[0]].ratios[LARGE], rel=0.006)


@pytest.mark.parametrize(("ratios", "rising"), [((10.0, 20.0), 1), ((20.0, 20.5), 0)])
def test_the_title_counts_the_laws_that_ask_for_more_tokens_per_parameter(ratios, rising):
    small, large = ratios
    advice = Advice("a", [1.0] * 4, [small, small, large, large], "", "")
    assert f"{rising} of 1 laws ask for more tokens per parameter" in _ratios([advice])


def test_sources_have_a_row_per_law_with_paper_and_counts():
    text = _sources(ADVICES, PUBLISHED)
    rows = cells(text)
    assert [row[0] for row in rows] == NAMES
    for row in rows:
        entry = PUBLISHED[row[0]]
        assert row[1:] == [entry.source, entry.counting, entry.compute, entry.status]
        assert re.search(r"\d{4}", row[1])
    assert headings(text) == ["id", "source", "N counts", "C counts", "how it was checked"]


def test_kaplans_laws_and_the_refitted_one_stand_out():
    colours = {advice.name: _colour(advice) for advice in ADVICES}
    assert colours["besiroglu_2024"] == ACCENT
    assert {colour for name, colour in colours.items() if name.startswith("kaplan_2020")} == {MUTED}
    assert colours["hoffmann_2022_approach1"] == INK
