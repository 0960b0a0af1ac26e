"""The page of every kind of result: whole, safe, self-contained, and true to its numbers."""

from __future__ import annotations

import dataclasses
import inspect
import re

import numpy as np
import pandas as pd
import pytest

from foretoken import plan
from foretoken.arguments import ArgumentNameError
from foretoken.checks import diagnose
from foretoken.checks.waterfall import Step, with_changes
from foretoken.errors import ForetokenError
from foretoken.fits import fit
from foretoken.fits.influence import influence
from foretoken.fits.parts import RowCounts
from foretoken.forecasts import Ledger, backtest, ledger, predict, rival_forecasts
from foretoken.forecasts.band import band_along
from foretoken.forecasts.ledger import placed
from foretoken.laws import PUBLISHED
from foretoken.reports import PAGES, Page, PageOptions, page_of, save_page
from foretoken.reports.approaches_page import _curves, path_figure
from foretoken.reports.diagnosis_page import waterfall_figure
from foretoken.reports.html import element
from foretoken.reports.law_figures import law_figure
from foretoken.reports.palette import MOST_MARKS, colour_groups, coloured, thinned
from foretoken.routes import approaches
from foretoken.runs.table import RunTable

from .reader import Reader

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)> $\\frac{$ & \"'"
KINDS = ("fit", "backtest", "diagnosis", "approaches", "forecast", "ledger", "published")
OPTIONS = PageOptions(source=HOSTILE, rebuild=HOSTILE)
STEPS = with_changes([Step("Kaplan's counts", 0.84, [0.81, 0.9], None), Step("head counted", 0.7, None, None)])


def make_table(names: str = "run", noise: float = 0.003) -> RunTable:
    """IsoFLOP runs at five budgets, seven sizes each, with training that a doctor may praise."""
    generator = np.random.default_rng(5)
    rows = []
    for rank, flops in enumerate(1e18 * 3.0 ** np.arange(5)):
        for params in np.geomspace(0.25, 4, 7) * 1.1e8 * 3.0 ** (0.5 * rank):
            tokens = flops / 6 / params
            loss = (1.8 + 480 / params**0.35 + 2000 / tokens**0.37) * np.exp(noise * generator.standard_normal())
            rows.append((f"{names}{len(rows)}", f"{flops:.3g}", params, tokens, flops, loss))
    return RunTable(pd.DataFrame(rows, columns=["run", "group", "params_total", "tokens", "flops", "loss"]), "a test")


@pytest.fixture(scope="module")
def table():
    return make_table()


@pytest.fixture(scope="module")
def fitted(table):
    return fit(table, draws=60)


@pytest.fixture(scope="module")
def book(fitted, tmp_path_factory):
    """A ledger of three: one inside, one outside, one open."""
    folder = tmp_path_factory.mktemp("ledger")
    for name, size, off in (("inside", 2e9, 1.0), ("outside", 3e9, 1.5), ("open", 4e9, None)):
        told = predict(fitted, params=size, tokens=20 * size)
        band = band_along(fitted, size, 20 * size, 0.9)
        entry = ledger.freeze(
            folder / f"{name}.json",
            told,
            fit=fitted,
            rivals=rival_forecasts(fitted, flops=told.flops),
            band=band,
            conventions={"params": "params_total"},
        )
        if off:
            ledger.keep_outcome(folder / f"{name}.json", entry.score(off * told.loss))
    return Ledger.read(folder)


@pytest.fixture(scope="module")
def results(table, fitted, book):
    """One result of each kind, with what its page can use besides."""
    points = placed(book["open"].entry, [(9.6e9, 3.5)])
    return {
        "fit": (fitted, OPTIONS),
        "backtest": (backtest(table, draws=60), OPTIONS),
        "diagnosis": (diagnose(table), OPTIONS),
        "approaches": (approaches(table, draws=60), dataclasses.replace(OPTIONS, runs=table)),
        "forecast": (predict(fitted, params=2e9, tokens=4e10), dataclasses.replace(OPTIONS, fit=fitted)),
        "ledger": (book, dataclasses.replace(OPTIONS, points={"open": points})),
        "published": (PUBLISHED, OPTIONS),
    }


@pytest.fixture(scope="module")
def pages(results):
    """The text of every page, under the name of a hostile table."""
    return {name: page_of(result, options) for name, (result, options) in results.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_page_is_whole_safe_and_alone(pages, kind):
    page = Reader(pages[kind])
    assert page.tags.count("script") == 1
    assert "img" not in page.tags
    assert all(link.startswith(("#", "data:")) for link in page.links)
    assert len(page.ids) == len(set(page.ids))
    assert "://" not in pages[kind]
    assert len(pages[kind].encode()) < 400_000


@pytest.mark.parametrize("kind", KINDS)
def test_every_figure_has_title_caption_and_data(pages, kind):
    figures = re.findall(r"<figure .*?</figure>", pages[kind], flags=re.DOTALL)
    assert figures
    for figure in figures:
        assert re.search(r"<h3>[^<]+</h3>", figure)
        assert re.search(r"<figcaption>[^<]{40,}</figcaption>", figure)
        assert re.search(r"<details><summary>[^<]+</summary>.*<tbody><tr>", figure, flags=re.DOTALL)
        assert figure.count("<svg ") >= 1


@pytest.mark.parametrize("kind", KINDS)
def test_colours_come_from_the_page(pages, kind):
    drawn = "".join(re.findall(r"<svg .*?</svg>", pages[kind], flags=re.DOTALL))
    assert not re.search(r"#[0-9a-fA-F]{6}", drawn)
    used = set(re.findall(r"var\((--[a-z0-9-]+)\)", pages[kind]))
    assert used <= set(re.findall(r"(--[a-z0-9-]+):", pages[kind]))


@pytest.mark.parametrize("kind", KINDS)
def test_equal_results_give_equal_bytes(results, pages, kind):
    assert page_of(*results[kind]) == pages[kind]


def test_fit_page_says_exponent_interval_and_pull_of_a_few_runs(pages, fitted):
    moved, page = influence(fitted), Reader(pages["fit"])
    assert f"N* ~ C^{moved.exponent:.3f} (90 %: {moved.interval[0]:.3f} to {moved.interval[1]:.3f})" in page.text
    after = moved.after("highest_loss", 3)
    assert f"The 3 runs of highest loss move the exponent of N* from {after:.3f} to {moved.exponent:.3f}" in page.text


def test_fit_page_shows_every_objective(pages, fitted):
    for entry in fitted.sensitivity:
        assert f">{entry.loss:.4f}</text>" in pages["fit"]


def test_backtest_page_says_error_and_coverage(pages, results):
    found, page = results["backtest"][0], Reader(pages["backtest"])
    assert f"missed by {100 * found.test_error:.2f} % on average" in page.text
    assert f"{100 * found.coverage:.0f} % of them fell inside their 90 % interval" in page.text
    assert "beyond the runs seen" in page.text


def test_diagnosis_page_has_every_check_and_what_was_not_looked_for(pages, results):
    found, page = results["diagnosis"][0], Reader(pages["diagnosis"])
    assert found.checks
    assert {check.code for check in found.checks} <= set(page.words)
    assert {column for entry in found.unchecked for column in entry.columns} <= set(page.words)


def test_approaches_page_has_every_route_and_its_reason(pages, results):
    found, page = results["approaches"][0], Reader(pages["approaches"])
    for route in found.routes:
        assert route.name in page.words
        known = route.exponent is not None
        assert (f"{route.exponent:.3f}" if known else route.reason.split(":")[0].capitalize()) in page.text
    assert "5 of 5 budgets have their best size inside the sizes tried" in page.text


def test_without_budgets_the_routes_are_drawn_over_the_compute_of_the_runs(results, table):
    found, options = results["approaches"]
    bare = dataclasses.replace(found, routes=[dataclasses.replace(route, points=[]) for route in found.routes])
    for figure in (path_figure(bare, options.runs), path_figure(bare)):
        wide, _ = re.findall(r"<svg .*?</svg>", figure, flags=re.DOTALL)
        assert re.search(r"10¹⁸.*10¹⁹.*10²⁰", wide, flags=re.DOTALL)
        assert len(re.findall(r">\d+[MB]<", wide)) >= 2
    once = RunTable(table.frame.iloc[::8], "no two of a budget")
    assert _curves(found, once) is None
    assert _curves(found, table) is not None


def test_ledger_page_tells_open_inside_outside_and_a_run_on_its_way(pages, book):
    page = Reader(pages["ledger"])
    assert "1 of 2 scored forecasts fell inside their interval" in page.text
    assert "So far: above the band at 12 % of tokens" in page.text
    for line in book.lines:
        assert f"{line.entry.forecast.loss:.4f}" in page.text


def test_waterfall_has_each_change_and_the_published_values():
    assert ">0.700 (−0.140), published 0.701</text>" in waterfall_figure(STEPS, (0.834, 0.701))
    assert ">0.700 (−0.140)</text>" in waterfall_figure(STEPS)


def test_published_page_counts_tokens_per_parameter(pages):
    law = PUBLISHED["hoffmann_2022_approach1"].parameters
    size = law["k"] * 1e24 ** law["a"]
    assert f"{1e24 / 6 / size**2:.1f}" in Reader(pages["published"]).words


def test_hostile_names_of_runs_and_columns_stay_text(tmp_path):
    hostile = make_table(HOSTILE)
    found = fit(hostile, draws=60)
    text = page_of(dataclasses.replace(found, assumed=[HOSTILE], params_column=HOSTILE, bootstrap=HOSTILE))
    assert Reader(text).tags.count("script") == 1
    assert "<img" not in waterfall_figure([dataclasses.replace(STEPS[0], name=HOSTILE)])


def test_save_page_writes_what_page_of_gives(tmp_path):
    path = save_page(PUBLISHED, tmp_path / "page.html", PageOptions(source="x"))
    assert path.read_text(encoding="utf-8") == page_of(PUBLISHED, PageOptions(source="x"))


@pytest.mark.parametrize("result", [3.5, {}, {"open": {"forecast": {"loss": 2.0}}}, None, [STEPS]])
def test_what_has_no_page_is_refused_by_name(result):
    with pytest.raises(ForetokenError, match="no page for this result") as refused:
        page_of(result)
    assert refused.value.got == type(result).__name__
    assert "Fit" in refused.value.expected


def test_the_json_of_a_plan_is_refused_and_no_file_is_left(tmp_path):
    found = plan("1e23", law="besiroglu_2024")
    with pytest.raises(ForetokenError, match="no page for this result"):
        save_page(found.to_json(), tmp_path / "plan.html")
    assert not list(tmp_path.iterdir())
    assert save_page(found, tmp_path / "plan.html").is_file()


def test_a_wrong_option_names_the_nearest():
    with pytest.raises(ArgumentNameError, match="no argument 'option'") as refused:
        page_of(PUBLISHED, option=OPTIONS)
    assert refused.value.cure == "did you mean 'options'?"


def test_a_page_made_elsewhere_is_taken_as_it_is():
    made = Page(title=HOSTILE, kicker="k", sentence="s", parts=[element("p", "one"), None], rebuild="make page")
    page = Reader(page_of(made))
    assert {"one", "make page"} <= set(page.words)
    assert "make page" not in Reader(page_of(made, PageOptions(rebuild="other"))).words


@pytest.mark.parametrize("kind", PAGES)
def test_every_page_is_made_from_its_result_and_options_alone(kind):
    assert len(inspect.signature(PAGES[kind]).parameters) == 2


def test_many_runs_are_thinned_and_the_page_says_so(fitted):
    many = [dataclasses.replace(fitted.runs[i % 35], run=str(i), flops=1e18 * 1.001**i) for i in range(3000)]
    kept = thinned(many)
    assert MOST_MARKS <= len(kept) <= MOST_MARKS + 10
    assert {0, 2999} <= set(kept)
    shown = dataclasses.replace(fitted, runs=many, rows=RowCounts(3000, []))
    assert f"Drawn: {len(kept)} of 3k runs" in law_figure(*coloured(shown))


def test_colours_follow_budgets_where_there_are_some_and_steps_of_compute_elsewhere():
    names, budgets = colour_groups([1e18, 1.01e18, 1e19, 1e20])
    assert names == ["0", "0", "1", "2"]
    names, budgets = colour_groups([1e18 * 1.04**i for i in range(200)])
    assert len(budgets) == 8
    assert [names.index(name) for name in budgets] == sorted(names.index(name) for name in budgets)


def test_a_law_of_something_else_is_drawn_against_its_own_values(table):
    found = fit(table, "power", draws=60)
    drawn = law_figure(*coloured(found))
    assert "C (FLOP)" in drawn
