"""Tables and words of a plan: every number is the plan's own, a missing one is a dash with its reason."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from foretoken import plan
from foretoken.plans import plan_with_losses
from foretoken.plans.lifecycle_cost import NoSmallerModel, SmallerModel
from foretoken.plans.result import Alternative, PlanLimits
from foretoken.reports.plan_budget_figures import SEEN, _life_title, _money, _worst
from foretoken.reports.plan_curves import FAMILY, LifeCurves, isoflops, loss_at, shown_sizes, size_curve
from foretoken.reports.plan_limits import allowed_sizes, limited, limits_words, single_pass
from foretoken.reports.plan_page import _beyond, _sentence, _title, _waterfall
from foretoken.reports.plan_size_figure import LINE, _marks, free_level
from foretoken.reports.plan_size_figure import _title as size_title
from foretoken.reports.plan_tables import (
    _smaller_row,
    alternatives_table,
    cost_table,
    layout_table,
    recipe_tables,
    source_table,
    span,
    usd,
)
from foretoken.units import format_count

from .reader import cells, headings

LAW = "besiroglu_2024"
HOSTILE = "<img src=x onerror=alert(1)>"
NO_LIMITS = PlanLimits(min_params=None, max_params=None, max_tokens=None, sizes=(), unique_tokens=None)
OTHER = Alternative("other", 5e9, 1e11, loss=2.1, regret_loss=0.01, regret_flops=1e21, regret_usd=None, regret_days=0.5)


@pytest.fixture(scope="module")
def planned():
    """A plan by a published law, with its losses."""
    return plan_with_losses("1e23", law=LAW)


@pytest.fixture(scope="module")
def found(planned):
    """The plan alone."""
    return planned[0]


@pytest.mark.parametrize(
    ("bounds", "words"), [(None, "—"), ((), "—"), ((1e9, 7e9), "1.00B to 7.00B"), ([2e6, 3e6], "2.00M to 3.00M")]
)
def test_a_span_is_two_ends_in_words(bounds, words):
    assert span(bounds) == words


def test_dollars_or_a_dash():
    assert usd(None) == "—"
    assert usd(2.07e6) == "$2.07M"


def test_every_alternative_has_a_row_the_worst_first(found):
    rows = cells(alternatives_table(found))
    assert sorted(row[0] for row in rows) == sorted(choice.name for choice in found.alternatives)
    by_name = {choice.name: choice for choice in found.alternatives}
    regrets = [by_name[row[0]].regret_loss for row in rows]
    assert regrets == sorted(regrets, reverse=True)
    for row in rows:
        choice = by_name[row[0]]
        assert row[1:3] == [format_count(choice.params), format_count(choice.tokens)]
        assert row[3] == f"{choice.loss:.4f}"
        assert row[4] in (f"{choice.regret_loss:.4f}", "0.0000")


def test_losses_have_their_unit_in_the_heading(found):
    heads = headings(alternatives_table(found))
    assert heads[3:5] == ["loss (nats)", "nats lost"]
    assert "interval" not in heads
    drawn = dataclasses.replace(OTHER, regret_loss_interval=[0.0, 0.02])
    assert "interval" in headings(alternatives_table(dataclasses.replace(found, alternatives=[drawn])))


def test_a_dash_has_its_reason_below():
    base = plan("1e22", law=LAW)
    missing = dataclasses.replace(OTHER, loss=None, regret_loss=None, regret_flops=None, reason=f"beyond {HOSTILE}")
    text = alternatives_table(dataclasses.replace(base, alternatives=[missing, OTHER]))
    rows = {row[0]: row for row in cells(text)}
    assert rows["other"] in cells(text)
    assert "A dash: beyond &lt;img" in text
    assert "<img" not in text


def test_without_a_loss_the_table_has_sizes_from_small_to_large(found):
    bare = dataclasses.replace(found, loss=None)
    rows = cells(alternatives_table(bare))
    sizes = {choice.name: choice.params for choice in found.alternatives}
    assert headings(alternatives_table(bare)) == ["choice", "N", "D", "D/N"]
    assert [sizes[row[0]] for row in rows] == sorted(sizes.values())


def test_costs_are_the_plans_and_an_unknown_price_says_why(found):
    told = dict(cells(cost_table(found)))
    assert told["time"] == f"{found.cost.days:.1f} days"
    assert told["price"].startswith(usd(found.cost.usd))
    free = dataclasses.replace(found.cost, usd=None, usd_reason="no price is known", kwh=None, kwh_reason="no watts")
    told = dict(cells(cost_table(dataclasses.replace(found, cost=dataclasses.replace(free, tco2e=None)))))
    assert (told["price"], told["energy"], told["carbon"]) == ("no price is known", "no watts", "—")


def test_one_known_price_has_no_range(found):
    one = dataclasses.replace(found.cost, usd_low=found.cost.usd, usd_high=found.cost.usd)
    assert " to " not in dict(cells(cost_table(dataclasses.replace(found, cost=one))))["price"]


def test_every_number_that_was_assumed_has_its_source(found):
    rows = cells(source_table(found))
    assert len(rows) == 1 + len(found.sources.numbers)
    for row, known in zip(rows[1:], found.sources.numbers, strict=True):
        assert row[1].startswith(known.source)


def test_the_recipe_has_every_laws_value_beside_the_plans(found):
    recipe = found.recipe
    rows = [row for table in recipe_tables(recipe) for row in cells(table)]
    for setting in (recipe.batch_tokens, recipe.learning_rate, recipe.warmup_tokens):
        assert all(any(law.source in row[1] for row in rows) for law in setting.laws)
    assert ["layers, width", f"{recipe.shape.layers}, {recipe.shape.width}"] in rows


def test_the_layout_has_its_split_and_both_times(found):
    told = dict(cells(layout_table(found)))
    split = found.layout.split
    assert (told["tensor parallel"], told["data parallel"]) == (str(split.tensor), str(split.data))
    assert told["by this arithmetic"].startswith(f"{found.layout.hours(found.tokens) / 24:.1f} days")


def test_a_smaller_model_that_cannot_reach_the_loss_says_why():
    assert _smaller_row(NoSmallerModel(0.1, "too small"))[2] == "Too small."
    small = SmallerModel(
        params_factor=0.5,
        params=1e9,
        tokens_factor=3.0,
        tokens=1e11,
        overhead=0.208,
        flops=1e21,
        usd=None,
        usd_reason="no price",
        kwh=None,
        kwh_reason="no watts",
        pays_after=4e11,
    )
    assert _smaller_row(small)[2].replace("\u202f", " ") == "20.8 %"
    assert _smaller_row(small)[3:] == ["—", "400B"]


@pytest.mark.parametrize(
    ("budget", "title"), [("1e23", "Plan for 10²³ FLOP"), ("$2M", "Plan for $2M"), ("", "Plan for 10²³ FLOP")]
)
def test_a_bare_number_in_the_title_has_its_unit(found, budget, title):
    assert _title(dataclasses.replace(found, budget=budget)) == title


def test_the_sentence_is_the_decision(found):
    words = _sentence(found)
    assert words.startswith(
        f"Train {format_count(found.params)} parameters on {format_count(found.tokens)} tokens: loss "
    )
    assert words.endswith(" of that loss.")
    split = _sentence(dataclasses.replace(found, loss=None, band=None))
    assert split.endswith("the law says how to split compute, not what loss it gives.")
    assert "$" not in _sentence(dataclasses.replace(found, cost=dataclasses.replace(found.cost, usd=None)))


def test_a_waterfall_adds_up():
    lines = _waterfall([("a", 1.0), ("b", 2.5), ("c", 0.5)], "s")
    assert [(line.start, line.value) for line in lines] == [(0.0, 1.0), (1.0, 3.5), (3.5, 4.0)]
    assert [line.name for line in lines] == ["a: 1.00 s", "b: 2.50 s", "c: 0.500 s"]


def test_how_far_the_plan_lies_beyond_the_laws_runs(found):
    assert "not recorded" in _beyond(dataclasses.replace(found, extrapolation=type(found.extrapolation)()))
    far = dataclasses.replace(found.extrapolation, params=2.0, tokens=None, flops=40.0, experts=None)
    assert "×2 in size, ×40 in compute." in _beyond(dataclasses.replace(found, extrapolation=far))


def test_limits_have_words_only_where_they_bind(found):
    def words(**changes: object) -> str:
        return limits_words(dataclasses.replace(found, limits=dataclasses.replace(NO_LIMITS, **changes)))

    assert words() == ""
    assert words(sizes=(1e9, 7e9)).endswith("Squares: the only sizes allowed.")
    assert "3.00B distinct tokens are seen again" in words(unique_tokens=3e9)
    assert "Grey: sizes that the limits rule out." in words(max_params=8e9)
    assert not limited(dataclasses.replace(found, limits=dataclasses.replace(NO_LIMITS, unique_tokens=3e9)))


@pytest.mark.parametrize("flops", [1e21, 1e23, 1e25])
def test_sizes_that_are_allowed_spend_the_compute_on_no_more_tokens_than_there_are(found, flops):
    most = dataclasses.replace(found, limits=dataclasses.replace(NO_LIMITS, max_tokens=1e12, max_params=1e11))
    low, high = allowed_sizes(most, flops)
    per_token = found.flops / found.params / found.tokens
    assert flops / per_token / low == pytest.approx(1e12)
    assert high == 1e11


def test_where_each_distinct_token_is_seen_once(found):
    assert single_pass(found, found.flops) is None
    scarce = dataclasses.replace(found, limits=dataclasses.replace(NO_LIMITS, unique_tokens=found.tokens))
    assert single_pass(scarce, found.flops) == pytest.approx(found.params)
    assert single_pass(scarce, 2 * found.flops) == pytest.approx(2 * found.params)


def test_curves_are_those_of_the_law(planned):
    found, losses = planned
    curve = size_curve(found, losses)
    assert curve.losses.min() >= curve.best[1] - 1e-9
    assert curve.params[0] < min(shown_sizes(found)) < max(shown_sizes(found)) < curve.params[-1]
    assert np.allclose(curve.params * curve.tokens * losses.flops_per_param_token, found.flops)
    family = isoflops(found, losses)
    assert [one.flops / found.flops for one in family] == pytest.approx(list(FAMILY))
    assert [one.best[2] for one in family] == sorted((one.best[2] for one in family), reverse=True)
    assert loss_at(found, losses, 0.5) > loss_at(found, losses, 1.0) > loss_at(found, losses, 2.0)


def test_the_size_title_says_the_band_the_best_size_or_what_is_lost(planned):
    found, losses = planned
    curve = size_curve(found, losses)
    assert size_title(found, curve).startswith("Any size from ")
    bare = dataclasses.replace(found, band=None)
    assert size_title(bare, curve) == f"{format_count(found.params)} is the best size at 10²³ FLOP"
    small = dataclasses.replace(bare, params=found.params / 4, loss=1.02 * curve.best[1])
    title = size_title(small, curve).replace("\u202f", " ")
    assert title.endswith("is ×0.25 the best size at this compute, and its loss 2.00 % above the least")


def test_marks_are_the_plan_then_choices_then_laws_of_which_two_are_named(found):
    marks = _marks(found, name_laws=True)
    assert marks[0].kind == "plan"
    laws = [mark for mark in marks if mark.kind == "law"]
    assert len([mark for mark in laws if mark.name]) == 2
    assert laws == sorted(laws, key=lambda mark: mark.params)
    assert not [mark for mark in _marks(found, name_laws=False) if mark.kind == "law" and mark.name]


def test_only_choices_that_lose_enough_to_be_seen_are_marked(found):
    assert all(choice.regret_loss > SEEN for choice in _worst(found))
    assert len(_worst(dataclasses.replace(found, alternatives=[]))) == 0


@pytest.mark.parametrize(("dollars", "words"), [(2_070_000.0, "$2.07M"), (950.0, "$950"), (1_234_567_890.0, "$1.23B")])
def test_ticks_of_money(dollars, words):
    assert _money(dollars) == words


@pytest.mark.parametrize(
    ("pays", "title"),
    [
        (1.37e12, "Served more than 1.37T tokens, 5.00B costs less"),
        (None, "The more is served, the more a smaller model saves"),
    ],
)
def test_the_title_of_the_whole_life_says_when_a_smaller_model_pays(found, pays, title):
    one = np.ones(1)
    curves = LifeCurves(one, one, one, None, 5e9, pays)
    assert _life_title(found, curves).startswith(title)


@pytest.mark.parametrize("taken", [[], [0.95], [0.95, 0.87], [0.1], [0.9, 0.82, 0.74]])
def test_a_name_in_the_valley_stands_on_the_first_line_that_no_other_name_takes(taken):
    level = free_level(0.95, taken)
    assert all(abs(level - other) >= 0.6 * LINE for other in taken)
    assert level == pytest.approx(0.95 - LINE * round((0.95 - level) / LINE))
    assert level == 0.95 or any(abs(level + LINE - other) < 0.6 * LINE for other in taken)
