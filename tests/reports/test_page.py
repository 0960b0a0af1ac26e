"""The page in every state of a study: whole, safe, self-contained, and true to its inputs."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import html
import io
import re

import pandas as pd
import pytest

from foretoken.fits.check import Check
from foretoken.reports import CorpusFacts, TrainingCost, page_of, write_report
from foretoken.reports.html import _asset
from foretoken.reports.provenance import provenance_section
from foretoken.reports.study_page import verdict
from foretoken.runs.record import RunCounts
from foretoken.runs.table import RunTable, table_from_records

from .reader import Reader


@pytest.fixture(scope="module")
def states(material):
    """Studies from nothing to scored, by name."""
    empty = RunTable(pd.DataFrame(), "runs/quickstart")
    half = material.ladder[:7]
    bare = dict.fromkeys(("fit", "isoflop", "entry", "outcome"))
    return {
        "nothing": material.study(
            **bare, table=empty, records=[], design=None, corpus=None, counts=RunCounts(planned=24), cost=None
        ),
        "half": material.study(
            **bare,
            table=table_from_records(half, "x"),
            records=half,
            counts=RunCounts(planned=24, running=2, finished=17),
        ),
        "all_failed": material.study(
            **bare,
            table=table_from_records([failed(half[0])], "x"),
            records=[failed(half[0])],
            counts=RunCounts(planned=1, failed=1),
        ),
        "refused": material.study(
            **bare,
            table=table_from_records(material.ladder, "x"),
            records=material.ladder,
            refusal="refused (one_size): every run has 20.1k parameters\n  cure: add sizes",
        ),
        "fitted": material.study(entry=None, outcome=None),
        "open": material.study(outcome=None, table=table_from_records(material.ladder, "x"), records=material.ladder),
        "inside": material.whole,
    }


def failed(record):
    """The same run, ended by an exception."""
    return dataclasses.replace(
        record, status="failed", loss=None, curve=(), error="Traceback (most recent call last):\nValueError: no memory"
    )


@pytest.fixture(scope="module")
def pages(states):
    """The pages of all states; each was read by a parser and found well formed."""
    return {name: Reader(page_of(study)) for name, study in states.items()}


@pytest.fixture(scope="module")
def whole(material) -> str:
    return page_of(material.whole)


STATES = {
    "nothing": "no forecast yet",
    "half": "no forecast yet",
    "all_failed": "no forecast yet",
    "refused": "not to be trusted",
    "fitted": "no forecast yet",
    "open": "forecast open",
    "inside": "inside",
}


@pytest.mark.parametrize(("name", "word"), STATES.items())
def test_each_state_has_its_word_first(pages, name, word):
    words = [word for word in pages[name].words if word.strip()]
    assert words[words.index("quickstart") + 1] == word


@pytest.mark.parametrize("name", STATES)
def test_nothing_is_loaded_from_outside(pages, name):
    assert all(link.startswith(("#", "data:")) for link in pages[name].links)


@pytest.mark.parametrize("name", STATES)
def test_ids_are_unique(pages, name):
    assert len(pages[name].ids) == len(set(pages[name].ids))


def test_no_address_at_all(whole):
    assert "://" not in whole
    assert "@import" not in whole
    assert "url(" not in re.sub(r'clip-path="url\(#[a-z0-9]+\)"', "", whole)


def test_policy_names_the_one_script(whole):
    scripts = re.findall(r"<script>(.*?)</script>", whole, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert scripts == [_asset("page.js")]
    assert "default-src &#x27;none&#x27;" in whole
    assert f"script-src &#x27;sha256-{digest}&#x27;" in whole


def test_sections_in_order(pages):
    assert pages["inside"].headings == [
        "The forecast",
        "Does it beat simple baselines?",
        "Which size is best at each budget?",
        "How well does the law fit?",
        "The runs",
        "How it was made",
    ]


def test_verdict_says_the_inputs(pages, material):
    entry, forecast, outcome = material.whole.entry, material.whole.forecast, material.whole.outcome
    sentence = (
        f"is forecast to reach {forecast.loss:.3f} nats per token (90 %: {forecast.low:.3f} to {forecast.high:.3f}); "
        f"it reached {outcome.loss:.3f}: inside."
    )
    assert sentence in pages["inside"].text
    assert "2026-01-31 12:20 UTC" in pages["inside"].text
    assert f"data {entry.data_sha256[:12]}" in pages["inside"].text


def test_open_forecast_has_no_second_half(pages):
    assert "it reached" not in pages["open"].text


def test_an_outcome_outside_says_so_and_by_how_much(material):
    outcome = dataclasses.replace(material.whole.outcome, loss=1.9, inside=False, error=-0.2)
    page = Reader(verdict(material.study(outcome=outcome)))
    assert "it reached 1.900: outside." in page.text
    assert "forecast 20.00 % below" in page.text


def test_half_done_study_counts_its_runs(pages):
    assert "17 of 24 runs are finished; no forecast has been frozen yet." in pages["half"].text
    assert "2 running" in pages["half"].text


def test_refusal_is_told_in_its_own_words(pages):
    assert "refused (one_size): every run has 20.1k parameters cure: add sizes" in pages["refused"].text


def with_check(material, check):
    """The whole study, its forecast with one check more."""
    forecast = dataclasses.replace(material.whole.forecast, checks=[check])
    return material.study(entry=dataclasses.replace(material.whole.entry, forecast=forecast))


def test_doubts_about_the_forecast_stand_in_the_verdict(material):
    doubt = Check("few_runs", "doubt", "8 runs", "add runs")
    page = Reader(verdict(with_check(material, doubt)))
    assert "Read with care: 8 runs." in page.text


def test_a_refused_check_outweighs_the_outcome(material):
    check = Check("collinear", "refusal", "sizes and tokens move together", "vary them")
    page = Reader(verdict(with_check(material, check)))
    assert "not to be trusted" in page.words
    assert "sizes and tokens move together" in page.words


def test_equal_studies_give_equal_bytes(material, whole):
    assert page_of(material.whole) == whole


def test_size(whole):
    assert len(whole.encode()) < 400_000


def test_hostile_names_stay_text(material):
    """A name from a user may stand anywhere: title, group, settings, traceback, device."""
    hostile = "</script><script>alert(1)</script><img src=x onerror=alert(1)> $\\frac{$ & \"'"
    ladder = [
        dataclasses.replace(
            record,
            spec=dataclasses.replace(record.spec, group=hostile, tokenizer=hostile),
            error=hostile,
            device=hostile,
            events=(hostile,),
        )
        for record in material.ladder[:3]
    ]
    study = material.study(
        name=hostile,
        settings_json={"name": hostile, hostile: {hostile: hostile}},
        table=table_from_records(ladder, hostile),
        records=ladder,
        refusal=hostile,
        commands=[hostile],
        corpus=CorpusFacts(source=hostile, sha256=hostile),
        cost=TrainingCost(machine=hostile, seconds=1.0, kwh_source=hostile, kwh=1.0),
        fit=None,
        isoflop=None,
    )
    text = page_of(study)
    page = Reader(text)
    assert page.tags.count("script") == 1
    assert "img" not in page.tags
    assert html.escape(hostile) in text


def test_every_figure_has_title_caption_and_data(whole):
    figures = re.findall(r"<figure .*?</figure>", whole, flags=re.DOTALL)
    assert len(figures) == 5
    for figure in figures:
        assert re.search(r"<h3>[^<]+</h3>", figure)
        assert re.search(r"<figcaption>[^<]{40,}</figcaption>", figure)
        assert re.search(r"<details><summary>[^<]+</summary>.*<tbody><tr>", figure, flags=re.DOTALL)
        assert len(re.findall(r'<svg [^>]*role="img"[^>]*aria-labelledby="([^"]+)"', figure)) == figure.count("<svg ")


def test_every_svg_names_its_title(whole):
    for label in re.findall(r'aria-labelledby="([^"]+)"', whole):
        assert f'<title id="{label}">' in whole


def test_no_placeholder_colour_is_left(whole):
    drawn = "".join(re.findall(r"<svg .*?</svg>", whole, flags=re.DOTALL))
    assert not re.search(r"#[0-9a-fA-F]{6}", drawn)
    used = set(re.findall(r"var\((--[a-z0-9-]+)\)", whole))
    assert used <= set(re.findall(r"(--[a-z0-9-]+):", whole))


def test_numbers_in_figures_are_not_cut(whole, material):
    assert f">forecast {material.whole.forecast.loss:.3f}</text>" in whole


def test_csv_link_gives_back_the_whole_table(whole, material):
    packed = re.search(r'href="data:text/csv;charset=utf-8;base64,([^"]+)"', whole)
    frame = pd.read_csv(io.BytesIO(base64.b64decode(packed.group(1))))
    assert list(frame.columns) == list(material.whole.table.frame.columns)
    assert frame["loss"].tolist() == pytest.approx(material.whole.table.frame["loss"].tolist(), nan_ok=True)


def test_run_table_has_every_run(pages, whole, material):
    body = re.search(r'<table class="sortable numbers">.*?<tbody>(.*?)</tbody>', whole, flags=re.DOTALL).group(1)
    assert body.count("<tr") == len(material.whole.table)
    assert "diverged: diverged at step 812: loss 9.0" in pages["inside"].text


def test_failed_run_shows_its_cause_and_traceback(pages):
    assert "failed: ValueError: no memory" in pages["all_failed"].text
    assert "Traceback (most recent call last)" in pages["all_failed"].text


def test_known_entropy_rate_is_told(material):
    corpus = CorpusFacts(source="digits", entropy_rate=0.9012)
    assert "0.9012 nats per token" in provenance_section(material.study(corpus=corpus))


def test_write_puts_the_page_into_the_study(tmp_path, states):
    path = write_report(states["nothing"], tmp_path)
    assert path == tmp_path / "report" / "index.html"
    assert path.read_text(encoding="utf-8") == page_of(states["nothing"])
