"""The page of a plan: whole, safe, self-contained, true to the plan's numbers, with or without a loss."""

from __future__ import annotations

import dataclasses
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from foretoken.cli import app
from foretoken.fits import fit
from foretoken.plans import plan_with_losses
from foretoken.plans.split_search import best_losses
from foretoken.reports import PageOptions, page_of, save_page
from foretoken.reports.plan_curves import FAMILY, frontier, isoflops, life_curves, loss_at, size_curve
from foretoken.reports.plan_limits import allowed_sizes
from foretoken.units import format_count

from .reader import Reader
from .test_pages import HOSTILE, make_table
from .test_report_in_browser import ANY_PAGE, CHROMIUM, look

LAW, SPLIT_ONLY = "besiroglu_2024", "hoffmann_2022_approach1"
WISHES = {
    "budget": ("512 H100 for 30 days", {"law": LAW, "reference_size": "7B"}),
    "whole life": ("5.76e23", {"law": LAW, "serve": "1e13", "unique": "5e11"}),
    "split only": ("5.76e23", {"law": SPLIT_ONLY}),
    "size given": ("1e23", {"law": LAW, "params": "7B"}),
    "sizes": ("1e23", {"law": LAW, "sizes": ["7B", "13B", "70B"]}),
    "capped": ("1e23", {"law": LAW, "max_params": "8B"}),
    "no price": ("1e23", {"law": LAW, "accelerator": "TPU v4"}),
    "fit": ("1e21", {"fit": "fitted", "reference_size": "1B"}),
    "few tokens": ("1e23", {"law": LAW, "unique": "3e11", "max_epochs": 1, "sizes": ["7B", "34B", "70B"]}),
    "experts": (
        "1e21",
        {
            "law": "ludziejewski_2025",
            "experts": 8,
            "serve": "1T",
            "accelerator": "H100",
            "serve_accelerator": "L40S",
        },
    ),
}


@pytest.fixture(scope="module")
def plans():
    """Every wish with its plan and source."""
    own = fit(make_table(), draws=60)
    given = {name: (text, {**asked, "fit": own} if "fit" in asked else asked) for name, (text, asked) in WISHES.items()}
    return {name: plan_with_losses(text, **asked) for name, (text, asked) in given.items()}


@pytest.fixture(scope="module")
def pages(plans):
    """The text of every page, under a hostile name."""
    options = PageOptions(source=HOSTILE, rebuild=HOSTILE)
    return {
        name: page_of(found, dataclasses.replace(options, losses=losses)) for name, (found, losses) in plans.items()
    }


@pytest.mark.parametrize("name", WISHES)
def test_page_is_whole_safe_and_small(pages, name):
    text, page = pages[name], Reader(pages[name])
    assert page.tags.count("script") == 1
    assert "img" not in page.tags
    assert "://" not in text
    assert len(page.ids) == len(set(page.ids))
    assert not re.search(r"\bnan\b|\binf\b|\bNone\b", page.text)
    assert len(text.encode()) < 300_000


@pytest.mark.parametrize("name", WISHES)
def test_every_figure_has_title_caption_and_data(pages, name):
    figures = re.findall(r"<figure .*?</figure>", pages[name], flags=re.DOTALL)
    assert figures
    for figure in figures:
        assert re.search(r"<h3>[^<]+</h3>", figure)
        assert re.search(r"<figcaption>[^<]{40,}</figcaption>", figure)
        assert re.search(r"<details><summary>[^<]+</summary>.*<tbody><tr>", figure, flags=re.DOTALL)
        assert not re.search(r"#[0-9a-fA-F]{6}", "".join(re.findall(r"<svg .*?</svg>", figure, flags=re.DOTALL)))


@pytest.mark.parametrize("name", ["whole life", "fit"])
def test_equal_plans_give_equal_bytes(plans, pages, name):
    found, losses = plans[name]
    assert page_of(found, PageOptions(source=HOSTILE, rebuild=HOSTILE, losses=losses)) == pages[name]


@pytest.mark.parametrize("name", WISHES)
def test_page_says_what_the_plan_holds(plans, pages, name):
    (found, _), text = plans[name], Reader(pages[name]).text
    assert f"Train {format_count(found.params)} {found.counted} on {format_count(found.tokens)} tokens" in text
    for one in found.alternatives:
        assert f"{one.name} {format_count(one.params)} {format_count(one.tokens)}" in text
    for check in found.checks:
        assert check.code in text
    for number in found.sources.numbers:
        assert number.source in text
    for key in ("batch_tokens", "learning_rate", "warmup_tokens"):
        assert all(law.source in text for law in getattr(found.recipe, key).laws)


@pytest.mark.parametrize("name", ["fit", "budget"])
def test_every_curve_passes_through_the_plans_stated_loss(plans, name):
    found, losses = plans[name]
    assert loss_at(found, losses, 1.0) == pytest.approx(found.loss, rel=1e-6)
    curve = frontier(found, losses)
    here = np.interp(np.log(found.flops), np.log(curve.flops), curve.losses)
    assert here == pytest.approx(found.loss, rel=1e-3)
    life = life_curves(found, losses)
    # where little is served the cheapest size is the one that is cheapest to train: the plan's own
    assert life.optimal[0] == pytest.approx(life.chosen[0], rel=0.01)
    assert life.pays_after > 0


def test_figures_of_a_plan_with_a_loss(pages):
    ids = Reader(pages["whole life"]).ids
    assert {"sizes", "family", "frontier", "life", "memory", "step", "repetition"} <= set(ids)


def test_law_without_a_loss_says_why_and_draws_the_sizes(pages):
    page = Reader(pages["split only"])
    assert f"{SPLIT_ONLY} says how to split compute, not what loss it gives" in page.text
    assert {"choices", "memory", "step"} <= set(page.ids)
    assert not {"sizes", "family", "frontier", "life"} & set(page.ids)


def test_interval_of_a_fit_is_said(plans, pages):
    found, _ = plans["fit"]
    low, high = map(format_count, found.interval.params)
    assert f"90 %: {low} to {high}" in Reader(pages["fit"]).text
    assert "draws of the law, each moved to the same least loss" in Reader(pages["fit"]).text


def test_without_price_the_frontier_is_over_compute(plans, pages):
    found, _ = plans["no price"]
    text = Reader(pages["no price"]).text
    assert "With half the compute the loss is" in text
    assert found.cost.usd_reason in text


def test_a_capped_plan_is_said_to_lie_above_the_frontier(plans, pages):
    found, losses = plans["size given"]
    above = found.loss - float(best_losses(losses, np.array([found.flops]))[0])
    assert f"The plan lies {above:.3f} nats above what its money could buy" in Reader(pages["size given"]).text
    assert "Held back by max params" in Reader(pages["capped"]).text


def test_limits_are_drawn_and_named(plans, pages):
    text = Reader(pages["capped"]).text
    assert "Grey: sizes that the limits rule out." in text
    assert "Hollow: the best that the limits allow." in text
    assert "Dotted: the least that the limits allow" in text
    few = Reader(pages["few tokens"]).text
    assert "Squares: the only sizes allowed." in few
    assert "300B distinct tokens are seen again" in few
    assert "the limits rule out" not in Reader(pages["budget"]).text
    found, losses = plans["capped"]
    assert all(one.allowed[0] <= 8e9 * (1 + 1e-9) for one in isoflops(found, losses))
    assert all(one.allowed[1] >= one.best[2] - 1e-9 for one in isoflops(found, losses))
    bought = frontier(found, losses)
    assert np.all(bought.within >= bought.losses - 1e-9)
    scarce, source = plans["few tokens"]
    low, high = allowed_sizes(scarce, 1e23)
    assert low == pytest.approx(1e23 / 6 / 3e11)
    assert math.isfinite(high)
    assert [one.once is not None for one in isoflops(scarce, source)] == [True] * len(FAMILY)


def test_whole_life_and_experts_are_told_in_every_unit(pages):
    text = Reader(pages["whole life"]).text
    for unit in ("FLOP", "USD", "kWh"):
        assert f"whole life ({unit})" in text
    mixed = Reader(pages["experts"])
    assert "No price of L40S is known" in mixed.text
    assert "At equal compute" in mixed.text
    assert "In the memory of the best dense model" in mixed.text
    assert "experts" in mixed.ids


def test_without_layout_or_recipe_the_page_says_why(plans):
    found, losses = plans["budget"]
    bare = dataclasses.replace(found, layout=None, layout_reason="nothing fits", recipe=None, recipe_reason="no shape",
                               serving=None)  # fmt: skip
    text = Reader(page_of(bare, PageOptions(losses=losses))).text
    assert "No layout. Nothing fits." in text
    assert "No shape." in text


def test_page_without_the_source_still_tells_the_choices(plans):
    found, _ = plans["budget"]
    page = Reader(page_of(found))
    assert "choices" in page.ids
    assert "sizes" not in page.ids


def small_plan(flops: float) -> tuple:
    """A plan by a published law on H100s, with its source."""
    return plan_with_losses(flops, law=LAW, serve=1e12)


@settings(max_examples=12, deadline=None)
@given(st.floats(20, 26).map(lambda log: 10**log))
def test_curves_agree_with_the_plan(flops):
    found, source = small_plan(flops)
    curve = size_curve(found, source)
    assert curve.best[0] == pytest.approx(found.params, rel=1e-4)
    assert curve.losses.min() >= found.loss - 1e-9
    assert np.allclose(curve.params * curve.tokens * 6, flops)
    family = isoflops(found, source)
    assert [one.flops / flops for one in family] == pytest.approx(FAMILY)
    assert all(one.losses.min() >= one.best[2] - 1e-9 for one in family)
    bought = frontier(found, source)
    assert np.all(np.diff(bought.losses) < 0)
    assert float(np.interp(math.log(flops), np.log(bought.flops), bought.losses)) == pytest.approx(found.loss, rel=2e-3)


@settings(max_examples=8, deadline=None)
@given(st.floats(21, 26).map(lambda log: 10**log))
def test_cheapest_size_is_never_dearer_than_the_others(flops):
    found, source = small_plan(flops)
    curves = life_curves(found, source, 1e12)
    assert np.all(curves.optimal <= curves.chosen * (1 + 1e-6))
    assert np.all(curves.optimal <= curves.smallest * (1 + 1e-6))
    at = np.interp(math.log(curves.pays_after), np.log(curves.demand), curves.smallest / curves.chosen)
    assert float(at) == pytest.approx(1, abs=0.02)
    served = float(np.interp(math.log(1e12), np.log(curves.demand), np.log(curves.optimal)))
    assert math.exp(served) == pytest.approx(found.lifetime.total, rel=0.03)


def test_verb_writes_the_page_and_json_stays_alone(tmp_path):
    page = tmp_path / "plan.html"
    words = ["plan", "--compute", "1e22", "--law", LAW, "--html", str(page), "--json"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("{")
    assert "Plan for 10²² FLOP" in Reader(page.read_text()).text


@pytest.mark.page
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium, to look at the page as a reader does")
@pytest.mark.parametrize("name", ["whole life", "split only"])
def test_page_fits_a_phone_and_shows_every_figure(plans, tmp_path, name):
    found, losses = plans[name]
    save_page(found, tmp_path / "page.html", PageOptions(losses=losses))
    seen, console = look(tmp_path, 390, ANY_PAGE)
    assert console == []
    assert seen["wide"] <= seen["screen"] <= 390
    assert seen["drawn"] == seen["figures"] > 0
