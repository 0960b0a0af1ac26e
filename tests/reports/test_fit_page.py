"""The page of a fit, by what its sections compute: findings, procedures, profiles, influence, degenerate fits."""

from __future__ import annotations

import dataclasses
import math

import pytest

from foretoken.fits.influence import Influence
from foretoken.fits.parts import Dropped, HeldOut, ParameterProfile, Range, RowCounts
from foretoken.reports import page_of
from foretoken.reports.fit_page import (
    _driven_words,
    _facts,
    _influence,
    _objective_name,
    _profile_finding,
    _sentence,
    influence_sentence,
    objective_figure,
    profile_figure,
)
from foretoken.reports.law_figures import _heights, residual_figure, residual_title, residuals_of
from foretoken.reports.law_section import (
    MOST_HELD_OUT,
    _both_estimates,
    _correlations,
    _dropped,
    _held_out,
    _introduction,
    _meaning,
    _outside,
    _parameters,
    _procedure,
    significant_tick,
)

from .reader import Reader, cells

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def fit(material):
    """The study's fit."""
    return material.whole.fit


def moved(after: float, interval: tuple[float, float] | None, many: int = 5) -> Influence:
    """An influence in which the runs of highest loss lead to this exponent."""
    orders = {name: [after] * many for name in ("highest_loss", "lowering", "raising")}
    return Influence(0.5, Range(*interval) if interval else (), 0.9, orders, {name: [] for name in orders})


@pytest.mark.parametrize(
    ("many", "words"), [(1, "The run of highest loss moves"), (3, "The 3 runs of highest loss move"), (9, "The 5 runs")]
)
def test_the_pull_of_a_few_runs_is_told_with_their_number(many, words):
    sentence = influence_sentence(moved(0.42, None, many))
    assert sentence.startswith(words)
    assert sentence.endswith("from 0.420 to 0.500")


@pytest.mark.parametrize(
    ("after", "interval", "driven"),
    [(0.42, (0.45, 0.55), True), (0.58, (0.45, 0.55), True), (0.46, (0.45, 0.55), False), (0.42, None, False)],
)
def test_a_fit_is_driven_where_the_exponent_leaves_its_interval_on_either_side(after, interval, driven):
    assert (_driven_words(moved(after, interval)) is not None) is driven


def test_without_influence_the_section_says_what_it_needs():
    assert "at least 20 runs" in _influence(None)


def test_the_sentence_has_the_exponent_or_how_close_the_law_comes(fit):
    assert _sentence(fit, moved(0.42, (0.45, 0.55))).startswith(
        "The best size grows as N* ~ C^0.500 (90\u202f%: 0.450 to"
    )
    assert "(" not in _sentence(fit, moved(0.42, None)).partition(". ")[0]
    words = _sentence(dataclasses.replace(fit, reasons={"E": "x", "A": "y"}), None)
    assert residual_title(fit) in words
    assert words.endswith("They do not identify E and A.")


def test_facts_count_what_was_used_and_left_out(fit):
    told = {name: (value, remark) for name, value, remark in _facts(fit)}
    assert told["Runs"][0] == f"{fit.rows.used} used"
    lost = dataclasses.replace(fit, rows=RowCounts(4, [Dropped("no loss", 2), Dropped("no tokens", 3)]))
    assert ("Runs", "4 used", "5 left out") in list(_facts(lost))
    assert ("Runs", "4 used", "none left out") in list(_facts(dataclasses.replace(fit, rows=RowCounts(4, []))))


def test_reasons_for_leaving_out_are_counted():
    assert _dropped([]) == "none left out"
    assert _dropped([Dropped("no loss", 2), Dropped("no N", 1)]) == "left out: 2 (no loss); 1 (no N)"


def test_the_table_of_parameters_has_each_estimate_with_its_interval(fit):
    rows = {row[0]: row for row in cells(_parameters(fit, None))}
    assert set(rows) == set(fit.parameters)
    unknown = dataclasses.replace(fit, parameters={**fit.parameters, "E": None}, reasons={"E": f"flat {HOSTILE}"})
    text = _parameters(unknown, None)
    assert {row[0]: row for row in cells(text)}["E"][1] == "—"
    assert "<img" not in text


def test_the_meaning_of_the_irreducible_loss_names_a_known_entropy_rate():
    assert _meaning("E", "nats per token", None) == "irreducible loss (nats per token)"
    assert _meaning("E", "nats per token", 0.9).endswith("the source's entropy rate is 0.9000")
    assert _meaning("k", "nats per token", None) == ""


@pytest.mark.parametrize(("law", "told"), [("chinchilla", "L = E + A / N^alpha"), ("own: A / C**a", "L = A / C ** a")])
def test_the_introduction_names_the_formula(fit, law, told):
    text = Reader(_introduction(dataclasses.replace(fit, law=law))).text
    assert f"fitted to {fit.rows.used} runs." in text
    assert told in text


def test_the_procedure_is_told_in_sentences(fit):
    lines = _procedure(dataclasses.replace(fit, assumed=["noise is equal"], bootstrap="over runs"))
    assert all(line.endswith(".") for line in lines)
    assert "Assumed: noise is equal." in lines
    assert f"Draws: {len(fit.map_draws)}, over runs." in lines
    assert not [line for line in _procedure(dataclasses.replace(fit, bootstrap="")) if line.startswith("Draws")]


def test_too_few_draws_have_no_correlations_and_equal_ones_are_named(fit):
    assert _correlations(dataclasses.replace(fit, map_draws=fit.map_draws[:2])) == ""
    names = list(fit.unpenalised_parameters)
    together = [[float(k + 1)] * len(names) for k in range(5)]
    assert f"{names[0]} and {names[1]} (1.00)" in _correlations(dataclasses.replace(fit, map_draws=together))


def test_residuals_are_shares_and_the_title_says_the_farthest(fit):
    errors, relative = residuals_of(fit)
    assert relative
    assert errors == pytest.approx([run.loss / run.fitted - 1 for run in fit.runs])
    most = 100 * max(map(abs, errors))
    assert f"{most:.2f}" in residual_title(fit)
    outlier = dataclasses.replace(fit.runs[0], loss=2 * fit.runs[0].fitted)
    far = residual_title(dataclasses.replace(fit, runs=[outlier, *fit.runs[1:]]))
    assert far.startswith("Nine of ten runs lie within")
    assert far.endswith("the farthest is 100.00\u202f% off")


def test_a_fit_without_runs_has_no_residuals(fit):
    assert residual_figure(dataclasses.replace(fit, runs=[]), {}) is None


@pytest.mark.parametrize("losses", [[2.0], [2.0, 2.0], [2.0, 3.0]])
def test_the_loss_axis_leaves_air_on_both_sides(losses):
    low, high = _heights(losses)
    assert low < min(losses) <= max(losses) < high


def test_a_fit_without_held_out_budgets_has_no_such_part(fit):
    assert _held_out(dataclasses.replace(fit, held_out=[])) is None


def test_held_out_budgets_are_in_order_of_distance(fit):
    far, near = (HeldOut(math.log(times), math.log(1.02), 0.001, 0.01) for times in (8, 2))
    rows = cells(_held_out(dataclasses.replace(fit, held_out=[far, near])))
    assert rows == [["×2", "+2.00 %", "1.00 %"], ["×8", "+2.00 %", "1.00 %"]]
    many = _held_out(dataclasses.replace(fit, held_out=[near] * (MOST_HELD_OUT + 1)))
    assert "<summary>The 9 held-out budgets</summary>" in many


PROFILE = ParameterProfile(values=[1.0, 1.5, 2.0], rise=[0.2, 0.0, 0.3], interval=Range(1.2, 1.8), identified=True)


@pytest.mark.parametrize(
    ("name", "why", "by_profile", "words"),
    [
        ("E", {}, True, "The runs identify E: 1.20 to 1.80"),
        ("E", {}, False, "The runs identify E: 1.20 to 1.80"),
        ("E", {"E": "far off"}, True, "The runs do not identify E: 1.20 to 1.80 holds only if the law's form does"),
        ("E", {"E": "far off"}, False, "The runs do not identify E: anything from 1.20 to 1.80 fits"),
        ("alpha", {}, False, "The runs do not identify alpha: anything from 1.20 to 1.80 fits"),
    ],
)
def test_the_fit_alone_says_whether_a_parameter_is_known(fit, name, why, by_profile, words):
    doubted = dataclasses.replace(fit, reasons=why)
    assert _profile_finding(doubted, name, dataclasses.replace(PROFILE, identified=by_profile)) == words


@pytest.mark.parametrize("why", [{}, {"E": "the best fit has E at the lower bound"}], ids=["told", "not told"])
def test_a_page_says_once_whether_the_irreducible_loss_is_known(fit, why):
    values = fit.unpenalised_parameters
    told = dataclasses.replace(
        fit,
        reasons=why,
        status="not_identified" if why else "converged",
        parameters={name: None if name in why else value for name, value in values.items()},
        profiles={"E": PROFILE},
    )
    page = page_of(told)
    assert ("The runs identify E" in page) is not bool(why)
    assert ("The runs do not identify E" in page) is bool(why)
    assert ("E (not identified)" in page) is bool(why)


@pytest.mark.parametrize(
    ("status", "words"), [("converged", "every parameter"), ("bound_hit", "end of what"), ("not_identified", "tell E;")]
)
def test_a_status_is_told_in_a_sentence(fit, status, words):
    told = dataclasses.replace(fit, status=status, reasons={"E": "far off"}).status_words
    assert told.startswith(f"{status.replace('_', ' ')}: ")
    assert words in told


def test_parts_that_a_fit_does_not_have_leave_no_figure(fit):
    assert profile_figure(dataclasses.replace(fit, profiles={})) is None
    assert objective_figure(dataclasses.replace(fit, sensitivity=[])) is None


@pytest.mark.parametrize(("key", "words"), [("map", "MAP: what forecasts use"), ("least_squares", "least squares")])
def test_objectives_have_names(key, words):
    assert _objective_name(key) == words


def test_both_estimates_of_every_parameter_stand_beside_each_other(fit):
    estimates = _both_estimates(fit)
    assert list(estimates) == list(fit.map_parameters)
    for name, (unpenalised, used) in estimates.items():
        assert unpenalised[0] == fit.unpenalised_parameters[name]
        assert used[0] == fit.map_parameters[name]
        assert used[1][0] <= used[1][1]


@pytest.mark.parametrize(("value", "apart"), [(1.0, False), (0.5, True), (2.5, True), (2.0, False)])
def test_estimates_are_apart_where_one_leaves_the_others_interval(value, apart):
    assert _outside((1.5, (1.0, 2.0)), (value, None)) is apart
    assert _outside((1.5, None), (value, None)) is False


@pytest.mark.parametrize(("value", "words"), [(0.2, "0.2"), (500.0, "500"), (2e5, "2·10⁵"), (1e-4, "10⁻⁴")])
def test_ticks_of_a_parameter(value, words):
    assert significant_tick(value) == words
