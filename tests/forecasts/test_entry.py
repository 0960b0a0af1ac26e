"""Entries and outcomes of the ledger: through JSON and equal, scored with the right sign, compared as instants."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.errors import ForetokenError, StoreError
from foretoken.fits.check import Check
from foretoken.forecasts import Entry, Extrapolation, Forecast, Outcome
from foretoken.forecasts.band import BandPoint
from foretoken.forecasts.entry import relative_error
from foretoken.forecasts.forecast import FORECAST_KEYS, KINDS, interval_kind
from foretoken.forecasts.ledger import Ledger, LedgerLine
from foretoken.store.clock import instant, now

from .test_ledger import ENTRY, SPEC

SIZE = st.floats(1e-3, 1e30)
LOSS = st.floats(1e-3, 1e3)
TEXT = st.text(max_size=8)
FORECASTS = st.builds(
    Forecast,
    params=SIZE,
    tokens=SIZE,
    flops=SIZE,
    loss=LOSS,
    low=LOSS,
    high=LOSS,
    level=st.floats(0.01, 0.99),
    kind=st.sampled_from(list(KINDS.values())),
    extrapolation=st.builds(Extrapolation, st.dictionaries(st.sampled_from(["params", "tokens"]), SIZE, min_size=1)),
    checks=st.lists(st.builds(Check, TEXT, st.sampled_from(["note", "doubt", "refusal"]), TEXT, TEXT), max_size=2),
    estimator=st.sampled_from(["map", "huber"]),
    at=st.dictionaries(TEXT, SIZE, max_size=2),
)
ENTRIES = st.builds(
    replace,
    st.just(ENTRY),
    name=TEXT,
    forecast=FORECASTS,
    compute_factor=SIZE,
    rivals=st.dictionaries(TEXT, LOSS, max_size=3),
    parameters=st.dictionaries(TEXT, st.none() | LOSS, max_size=3),
    records=st.lists(TEXT, max_size=3),
    conventions=st.dictionaries(TEXT, TEXT, max_size=3),
    band=st.lists(st.builds(BandPoint, SIZE, SIZE, LOSS, LOSS, LOSS), max_size=3),
    spec=st.none() | st.just(SPEC),
)
OUTCOMES = st.builds(
    Outcome,
    run=TEXT,
    loss=LOSS,
    loss_se=st.none() | LOSS,
    error=st.floats(-1, 1e3),
    inside=st.booleans(),
    rivals=st.dictionaries(TEXT, st.floats(-1, 1e3), max_size=3),
    started_at=st.none() | TEXT,
    finished_at=st.none() | TEXT,
    scored_at=TEXT,
)


@settings(max_examples=20, deadline=None)
@given(ENTRIES)
def test_an_entry_comes_back_from_json(entry: Entry) -> None:
    written = json.loads(json.dumps(entry.to_json()))
    assert Entry.from_json(written) == entry
    assert set(FORECAST_KEYS) <= set(written)
    assert written["target"].get("tokens") == (entry.spec.tokens if entry.spec else entry.forecast.tokens)


@settings(max_examples=20, deadline=None)
@given(OUTCOMES)
def test_an_outcome_comes_back_from_json(outcome: Outcome) -> None:
    assert Outcome.from_json(json.loads(json.dumps(outcome.to_json()))) == outcome
    assert outcome.verdict == ("inside" if outcome.inside else "outside")
    assert Outcome.from_json(replace(outcome, evidence="chain").to_json()).evidence == ""


@pytest.mark.parametrize("name", [field.name for field in fields(Outcome) if field.name in ENTRY.score(2.0).to_json()])
def test_an_outcome_without_a_needed_key_is_refused(name: str) -> None:
    written = ENTRY.score(2.0).to_json()
    del written[name]
    if name in ("run", "uptime"):
        assert not getattr(Outcome.from_json(written), name)
    elif name in ("loss_se", "started_at", "finished_at"):
        assert getattr(Outcome.from_json(written), name) is None
    else:
        with pytest.raises(ValueError, match=name):
            Outcome.from_json(written)


@settings(max_examples=40, deadline=None)
@given(forecast=LOSS, outcome=LOSS)
def test_a_forecast_too_high_errs_upwards(forecast: float, outcome: float) -> None:
    error = relative_error(forecast, outcome)
    assert (error > 0) == (forecast > outcome)
    assert outcome * (1 + error) == pytest.approx(forecast)


@settings(max_examples=50, deadline=None)
@given(loss=st.floats(0.5, 5.0), rivals=st.dictionaries(st.sampled_from("abc"), LOSS))
def test_a_score_is_of_the_frozen_interval_and_of_every_rival(loss: float, rivals: dict[str, float]) -> None:
    outcome = replace(ENTRY, rivals=rivals).score(loss, run="big", loss_se=0.1)
    assert outcome.inside == (1.9 <= loss <= 2.1)
    assert (outcome.error > 0) == (loss < 2.0)
    assert outcome.rivals == {name: (rival - loss) / loss for name, rival in rivals.items()}
    assert (outcome.run, outcome.loss, outcome.loss_se) == ("big", loss, 0.1)


@settings(max_examples=40, deadline=None)
@given(minutes=st.integers(-14 * 60, 14 * 60), seconds=st.integers(-100_000, 100_000))
def test_a_run_begins_before_or_after_whatever_its_zone(minutes: int, seconds: int) -> None:
    start = ENTRY.frozen_instant + timedelta(seconds=seconds)
    written = start.astimezone(timezone(timedelta(minutes=minutes))).isoformat()
    assert instant(written) == start
    if seconds < 0:
        with pytest.raises(StoreError, match="began before"):
            ENTRY.score(2.0, started_at=written)
    else:
        assert ENTRY.score(2.0, started_at=written).started_at == written


def test_now_is_utc_and_readable() -> None:
    before = datetime.now(UTC)
    moment = instant(now())
    assert abs(moment - before) < timedelta(seconds=5)
    assert moment.utcoffset() == timedelta(0)


@pytest.mark.parametrize("text", ["", "2030-13-01", "31.01.2030", "12:00", "2030-01-01T25:00:00"])
def test_a_time_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ForetokenError, match="a time is not readable"):
        instant(text)


@settings(max_examples=25, deadline=None)
@given(factors=st.dictionaries(st.sampled_from(["params", "tokens", "flops", "size"]), SIZE, min_size=1))
def test_the_farthest_factor_is_the_largest(factors: dict[str, float]) -> None:
    reach = Extrapolation(factors)
    assert reach.largest == max(factors.values()) == reach[reach.farthest]
    assert dict(reach) == factors
    assert all(name in str(reach) for name in factors)


@pytest.mark.parametrize(("name", "near"), [("new_run", "new-run"), ("means", "mean")])
def test_a_kind_of_interval_shows_the_nearest(name: str, near: str) -> None:
    with pytest.raises(ForetokenError, match=f"did you mean '{near}'"):
        interval_kind(name)


@settings(max_examples=25, deadline=None)
@given(losses=st.lists(st.floats(0.5, 5.0), min_size=1, max_size=8), open_entries=st.integers(0, 3))
def test_a_summary_is_the_means_of_the_outcomes(losses: list[float], open_entries: int) -> None:
    lines = [LedgerLine(f"s{k}", ENTRY, ENTRY.score(loss)) for k, loss in enumerate(losses)]
    waiting = [LedgerLine(f"w{k}", ENTRY) for k in range(open_entries)]
    summary = Ledger((*lines, *waiting)).summary()
    errors = [2.0 / loss - 1 for loss in losses]
    assert (summary.frozen, summary.scored) == (len(losses) + open_entries, len(losses))
    assert summary.bias == pytest.approx(sum(errors) / len(errors), abs=1e-12)
    assert summary.mean_error == pytest.approx(sum(map(abs, errors)) / len(errors))
    assert summary.coverage == sum(1.9 <= loss <= 2.1 for loss in losses) / len(losses)
    assert summary.reason is None


@pytest.mark.parametrize("key", ["params", "tokens", "flops"])
def test_a_size_that_is_not_known_is_null(key: str) -> None:
    forecast: Any = replace(ENTRY.forecast, **{key: float("nan")})
    assert forecast.to_json()[key] is None
    assert json.loads(json.dumps(forecast.to_json(), allow_nan=False))["loss"] == 2.0
