"""The chain of a ledger: what was edited, added or left out shows, what came first is known without a clock."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from foretoken.cli import app
from foretoken.errors import ForetokenError, StoreError
from foretoken.forecasts import Ledger, ledger
from foretoken.forecasts.anchor import Anchor, check_anchor
from foretoken.reports.ledger_page import _entries
from foretoken.store import atomic, chain
from foretoken.store.clock import Moment, Uptime, instant

from ..faults.shim import FaultySystem
from ..faults.sweep import in_child
from .test_ledger import ENTRY

NOON = "2020-01-01T12:00:00+00:00"


def freeze(folder: Path, name: str, at: str = "", uptime: Uptime | None = None) -> Path:
    """Freeze a forecast, now unless a moment is given."""
    path, moment = folder / f"{name}.json", Moment.now()
    entry = replace(ENTRY, name=path.name, frozen_at=at or moment.at, uptime=uptime or moment.uptime, follows={})
    assert chain.add(path, entry.to_json()) is not None
    return path


def score(path: Path, loss: float, **more: Any) -> None:
    """Score a forecast."""
    ledger.keep_outcome(path, ledger.read_entry(path).score(loss, **more))


def resealed(path: Path, **changes: Any) -> None:
    """Edit a file, and make its checksum that of what it holds then."""
    values = json.loads(path.read_bytes())
    del values["sha256"]
    path.write_bytes(atomic.checksummed_json({**values, **changes}))


def show(folder: Path, *words: object) -> tuple[int, str]:
    """Exit code and text of `ledger show`."""
    result = CliRunner().invoke(app, ["ledger", "show", "--ledger", str(folder), *map(str, words)])
    if isinstance(result.exception, ForetokenError):
        return 2, str(result.exception)
    return result.exit_code, " ".join(result.output.split())


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A ledger of three forecasts, the first of them scored after the second was frozen."""
    folder = tmp_path / "ledger"
    first = freeze(folder, "a")
    freeze(folder, "b")
    score(first, 2.05)
    ledger.begin(freeze(folder, "c"), "run")
    return folder


def test_each_file_names_the_one_before_it(book: Path) -> None:
    links = chain.Chain.read(book)
    order = ["a.json", "b.json", "a.outcome.json", "c.json", "c.begun"]
    assert sorted(links.places, key=lambda name: links.places[name]) == order
    assert [links.links[name].follows for name in order[1:]] == [
        {name: links.links[name].sha256} for name in order[:-1]
    ]
    assert links.before("c.begun") == set(order[:-1])
    assert not links.faults
    assert not Ledger.read(book).summary().told


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("a.json", {"loss": 2.01}),
        ("a.json", {"frozen_at": "2029-01-01T12:00:00+00:00"}),
        ("b.json", {"low": 0.1}),
        ("c.json", {"high": 9.0}),
        ("c.begun", {"began_at": "2031-01-01T12:00:00+00:00"}),
        ("a.outcome.json", {"loss": 2.0, "error": 0.0, "rivals": {"line": 2.2 / 2.0 - 1}}),
        ("a.outcome.json", {"error": 0.0}),
        ("c.json", {"follows": {}}),
    ],
    ids=str,
)
@pytest.mark.parametrize("seals", ["kept", "removed", "made to agree"])
def test_an_edited_file_is_refused_whoever_reads_it(name: str, changes: dict[str, Any], seals: str, book: Path) -> None:
    resealed(book / name, **changes)
    if seals != "kept":
        (book / "seals").unlink()
    if seals == "made to agree":
        files = {one.name: chain.sha256_of(one) for one in book.iterdir()}
        (book / "seals").write_bytes(chain.atomic.checksummed_json({"format": "foretoken study 2", "files": files}))
    if seals == "made to agree" and name == "c.begun":
        # The last one, with its seal: who owns the folder can write all of it anew. It is read as it stands.
        assert show(book)[0] == 0
        assert "c.begun" in chain.Chain.read(book).links
        assert not chain.Chain.read(book).faults
        return
    if seals == "removed" and name == "c.begun":
        # Nothing follows the last one, so without the seals no hash contradicts it; that they are gone is told.
        assert Ledger.read(book).left_out == ("seals",)
        assert "left out: seals was in this ledger and is gone" in show(book)[1]
        return
    stem = name.partition(".")[0]
    readers: list[Callable[[], Any]] = [
        lambda: Ledger.read(book),
        lambda: ledger.score_ledger(book),
        lambda: ledger.read_entry(book / f"{stem}.json"),
        lambda: ledger.read_outcome(book / f"{stem}.json"),
        lambda: ledger.score_run(book / f"{stem}.json", 2.0),
        lambda: freeze(book, "d"),
    ]
    for read in readers:
        with pytest.raises(StoreError, match=rf"(?s){name}.*(edited|no entry of a ledger|not written here)"):
            read()
    assert show(book)[0] == 2


@pytest.mark.parametrize("changes", [{"error": 0.0}, {"inside": False}, {"rivals": {}}, {"loss": -2.05}], ids=str)
def test_what_follows_from_forecast_and_loss_is_found_again(changes: dict[str, Any], tmp_path: Path) -> None:
    """Also where nothing seals the file: as an earlier version wrote it."""
    (tmp_path / "target.json").write_bytes(atomic.checksummed_json(ENTRY.to_json()))
    outcome = ENTRY.score(2.05).to_json()
    (tmp_path / "target.outcome.json").write_bytes(atomic.checksummed_json(outcome))
    assert ledger.read_outcome(tmp_path / "target.json")
    resealed(tmp_path / "target.outcome.json", **changes)
    with pytest.raises(StoreError, match="no entry of a ledger"):
        Ledger.read(tmp_path)


@pytest.mark.parametrize("name", ["a.json", "b.json", "a.outcome.json", "c.begun", "seals"])
def test_what_is_left_out_shows(name: str, book: Path) -> None:
    (book / name).unlink()
    assert Ledger.read(book).left_out == (name,)
    code, text = show(book)
    assert (code, f"left out: {name} was in this ledger and is gone" in text) == (0, True)
    freeze(book, "d")
    assert Ledger.read(book).left_out == (() if name == "seals" else (name,))


def test_the_name_of_what_is_gone_is_not_given_again(book: Path) -> None:
    (book / "a.outcome.json").unlink()
    with pytest.raises(StoreError, match="was written before and is gone"):
        score(book / "a.json", 2.0)


def test_what_was_added_by_hand_is_refused(book: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    freeze(other, "first")
    freeze(other, "added")
    earlier = replace(ENTRY, name="added.json").to_json()
    for content in ((other / "added.json").read_bytes(), atomic.checksummed_json(earlier)):
        (book / "added.json").write_bytes(content)
        with pytest.raises(StoreError, match=r"added.json: not written here"):
            Ledger.read(book)
        with pytest.raises(StoreError, match=r"added.json: not written here"):
            freeze(book, "d")
    (book / "added.json").unlink()
    shutil.copy(book / "c.json", book / "copy.json")
    with pytest.raises(StoreError, match=r"copy.json: not written here"):
        Ledger.read(book)


def test_a_copy_under_another_name_is_no_second_forecast(tmp_path: Path) -> None:
    for name in ("target", "copy"):
        (tmp_path / f"{name}.json").write_bytes(atomic.checksummed_json(ENTRY.to_json()))
    with pytest.raises(StoreError, match=r"(?s)copy.json is no entry.*the file of target.json"):
        Ledger.read(tmp_path)


def test_a_death_at_any_write_loses_nothing_and_is_no_alarm(tmp_path: Path) -> None:
    def frozen(folder: Path, at: int) -> int:
        atomic.system = system = FaultySystem("kill", at)
        score(freeze(folder, "a"), 2.0)
        return system.calls

    calls = in_child(lambda: frozen(tmp_path / "whole", 0), 0)
    assert calls > 8
    for at in range(1, calls + 1):
        folder = tmp_path / str(at)
        assert in_child(lambda folder=folder, at=at: frozen(folder, at), -1) == -1
        before = sorted(Ledger.read(folder))
        path = folder / "a.json" if "a" in before else freeze(folder, "a")
        if ledger.read_outcome(path) is None:
            score(path, 2.0)
        freeze(folder, "b")
        assert not Ledger.read(folder).summary().told
        assert Ledger.read(folder)["a"].outcome
        assert not chain.Chain.read(folder).faults


def test_forecasts_that_are_frozen_at_once_are_one_chain(tmp_path: Path) -> None:
    names = [f"f{number}" for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda name: freeze(tmp_path, name), names))
    links = chain.Chain.read(tmp_path)
    assert (sorted(links.places.values()), links.faults) == (list(range(8)), ())
    assert list(Ledger.read(tmp_path)) == names


def test_other_files_of_the_folder_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "fit.json").write_text("{}")
    path = freeze(tmp_path, "a")
    freeze(tmp_path, "b")
    assert ledger.read_entry(path).name == "a.json"
    assert set(chain.read_seals(tmp_path)) == {"a.json", "b.json"}


def test_the_page_tells_what_is_left_out(book: Path) -> None:
    (book / "c.begun").unlink()
    assert "Left out: c.begun was in this ledger and is gone." in str(_entries(Ledger.read(book).summary())[0])


def later(moment: str, **by: float) -> str:
    """Another time on the wall."""
    return (instant(moment) + timedelta(**by)).isoformat()


@pytest.mark.parametrize(
    ("by", "told"),
    [({"hours": -1}, "back by 1 h 1 min"), ({"days": 3650}, "forward by 3649 d 23 h"), ({"days": -3650}, "back by 36")],
    ids=str,
)
def test_a_clock_that_was_moved_is_told_and_orders_nothing(by: dict[str, float], told: str, tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    first = freeze(folder, "z-first", NOON, Uptime("boot", 5.0))
    freeze(folder, "a-second", later(NOON, **by), Uptime("boot", 65.0))
    book = Ledger.read(folder)
    assert book["z-first"].place < book["a-second"].place
    (sentence,) = book.clock
    assert told in sentence
    assert "between z-first.json and a-second.json" in sentence
    assert sentence in show(folder)[1]
    assert f"T{sentence[1:]}." in str(_entries(book.summary())[0])
    assert sentence in json.loads(show(folder, "--json")[1])["clock"]
    assert first.is_file()


def test_of_two_starts_of_a_machine_only_a_turned_order_shows(tmp_path: Path) -> None:
    freeze(tmp_path, "a", NOON, Uptime("boot", 5.0))
    freeze(tmp_path, "b", later(NOON, days=9), Uptime("other", 1.0))
    assert not Ledger.read(tmp_path).clock
    freeze(tmp_path, "c", later(NOON, days=8), Uptime("", 1.0))
    assert "back by 1 d" in Ledger.read(tmp_path).clock[0]


def test_a_start_shows_nothing_once_the_clock_was_moved(tmp_path: Path) -> None:
    now = Moment.now()
    assert now.uptime
    ahead = freeze(tmp_path, "ahead", later(now.at, hours=1), now.uptime)
    right = freeze(tmp_path, "right", now.at, now.uptime)
    score(ahead, 2.0, started_at=later(now.at, seconds=1))
    outcome = Ledger.read(tmp_path)["ahead"].outcome
    assert outcome
    assert not outcome.came_after
    assert any("by the clocks the run of ahead began" in sentence for sentence in Ledger.read(tmp_path).clock)
    with pytest.raises(StoreError, match="began before"):
        score(right, 2.0, started_at=later(now.at, seconds=-1))


def test_a_start_that_was_written_after_the_forecast_is_the_order(tmp_path: Path) -> None:
    path = freeze(tmp_path, "a", "2040-01-01T00:00:00+00:00")
    ledger.begin(path, "run")
    ledger.begin(path, "run")
    entry = ledger.read_entry(path)
    for run, evidence in (("run", "chain"), ("another", "")):
        outcome = entry._outcome(Moment.now(), 2.0, run, None, "2030-01-01", None)
        assert ledger.keep_outcome(path, outcome).evidence == evidence
        path.with_suffix(".outcome.json").unlink()
        (tmp_path / "seals").unlink()
        chain.seal(tmp_path)


def test_no_forecast_of_a_run_that_had_begun_comes_before_it(tmp_path: Path) -> None:
    """Whatever begins anew under the second forecast, and where what shows the first start is gone."""
    first, unknown = freeze(tmp_path, "a"), {"loss_se": None, "started_at": None, "finished_at": None}
    ledger.begin(first, "run")
    second = freeze(tmp_path, "b")
    ledger.begin(second, "run")
    third = freeze(tmp_path, "c")
    for path in (first, second, third):
        ledger.keep_outcome(path, ledger.read_entry(path)._outcome(Moment.now(), 2.0, "run", **unknown))
    book = Ledger.read(tmp_path)
    assert [line.outcome and line.outcome.evidence for line in book.lines] == ["chain", "", ""]
    assert book.summary().order.startswith("1 of 3 known")
    (tmp_path / "a.begun").unlink()
    outcomes = [line.outcome for line in Ledger.read(tmp_path).lines]
    assert [outcome and outcome.came_after for outcome in outcomes] == [False, False, False]


@pytest.mark.parametrize("later_clock", ["set right", "still wrong"])
def test_a_clock_that_the_ledger_knows_was_moved_orders_no_run(later_clock: str, tmp_path: Path) -> None:
    now = Moment.now()
    assert now.uptime
    freeze(tmp_path, "before", now.at, now.uptime)
    late = freeze(tmp_path, "late", later(now.at, hours=-2), now.uptime)
    entry, began = ledger.read_entry(late), later(now.at, hours=-1)
    scored = Moment(now.at if later_clock == "set right" else later(now.at, hours=-2), now.uptime)
    outcome = entry._outcome(scored, 2.0, "", None, began, None)
    assert outcome.came_after == (later_clock == "still wrong")  # which the entry alone cannot know
    kept = ledger.keep_outcome(late, outcome)
    assert (kept.order, len(Ledger.read(tmp_path).clock)) == (
        "not known to be frozen before the run",
        2 if later_clock == "set right" else 1,
    )


def test_a_ledger_of_an_earlier_version_is_read_and_then_sealed(tmp_path: Path) -> None:
    old = replace(ENTRY, frozen_at=NOON)
    (tmp_path / "target.json").write_bytes(atomic.checksummed_json(old.to_json()))
    outcome = old.score(2.0, started_at="2020-01-02").to_json()
    (tmp_path / "target.outcome.json").write_bytes(atomic.checksummed_json(outcome))
    book = Ledger.read(tmp_path)
    assert (book.summary().order, book.summary().told) == ("frozen before its run by the clock", [])
    freeze(tmp_path, "b")
    assert chain.Chain.read(tmp_path).before("b.json") == {"target.json", "target.outcome.json"}
    assert not Ledger.read(tmp_path).summary().told
    resealed(tmp_path / "target.json", loss=2.01)
    with pytest.raises(StoreError, match="edited"):
        Ledger.read(tmp_path)


def rewritten(folder: Path, name: str, **changes: Any) -> None:
    """All that an owner can do: edit a file, and make every later one and the seals agree."""
    links = chain.Chain.read(folder)
    order = sorted(links.places, key=lambda one: links.places[one])
    resealed(folder / name, **changes)
    for one in order[order.index(name) + 1 :]:
        follows = links.links[one].follows or {}
        resealed(folder / one, follows={before: chain.sha256_of(folder / before) for before in follows})
    (folder / "seals").unlink()
    chain.write_seals(folder, {one: chain.sha256_of(folder / one) for one in order})


def test_a_line_that_was_kept_elsewhere_proves_what_an_owner_could_write_anew(book: Path) -> None:
    lines = {name: str(Ledger.read(book)[name].anchor) for name in "abc"}
    for name, line in lines.items():
        assert show(book, "--check", line)[0] == 0
        assert f"{name} is as it was" in show(book, "--check", f"  {line}\n")[1]
    assert check_anchor(book, lines["c"]).before == 3
    rewritten(book, "b.json", loss=2.02)
    assert not Ledger.read(book).summary().told
    assert [check_anchor(book, lines[name]).holds for name in "abc"] == [True, False, False]
    code, text = show(book, "--check", lines["b"])
    assert code == 1
    assert "another forecast: the line says" in text
    assert json.loads(show(book, "--check", lines["c"], "--json")[1])["holds"] is False


def test_a_line_tells_data_version_and_what_was_left_out(book: Path) -> None:
    line = str(Ledger.read(book)["c"].anchor)
    anchor = Anchor.parse(line)
    other = replace(anchor, data_sha256="ab", version="9.9")
    assert [text.partition(":")[0] for text in check_anchor(book, str(other)).differences] == [
        "another data",
        "another version",
    ]
    assert check_anchor(book, str(replace(anchor, name="none"))).differences == ("there is no forecast none",)
    (book / "a.json").unlink()
    (difference,) = check_anchor(book, line).differences
    assert "a.json: left out" in difference


@pytest.mark.parametrize("line", ["", "c", "foretoken forecast c sha256:12 data: version:1", "\x1b[2J", "a\nb" * 999])
def test_what_is_no_such_line_ends_with_2(line: str, book: Path) -> None:
    code, text = show(book, "--check", line)
    assert code == 2
    assert "no line that proves a forecast" in text
