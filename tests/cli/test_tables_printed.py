"""Printed tables: columns are aligned, headings say the unit, nothing is cut, numbers are those of --json."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import foretoken.fits
from foretoken.errors import ForetokenError
from foretoken.fits import Fit
from foretoken.units import format_count

from ..fuzz.verbs import foretoken as typed
from ..fuzz.verbs import strict_json

LAW = ("--law", "besiroglu_2024")
RUN = ("--params", "7B", "--tokens", "140B")
TABLES = {
    ("plan", "--compute", "1e22", *LAW): (
        "choice",
        ("parameters", "loss [nats]", "FLOP lost", "USD lost", "days lost"),
    ),
    ("plan", "--params", "7B", *LAW): ("parameters", ("tokens", "FLOP", "loss [nats]", "nats gained by doubling")),
    ("compare", "--compute", "1e22"): ("law", ("parameters", "tokens", "tokens/param", "beyond its runs")),
    ("models",): ("model", ("date", "status", "parameters", "tokens", "FLOP")),
}


def rows_under(text: str, first: str) -> list[str]:
    """The heading that begins with a word, and the lines of its table."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.split()[:1] == [first] and "  " in line)
    width = len(lines[start])
    ends = (number for number in range(start + 1, len(lines)) if not re.search(r"\S  +\S", lines[number]))
    return [line.ljust(width) for line in lines[start : next(ends, len(lines))]]


@pytest.mark.parametrize("words", TABLES, ids=" ".join)
def test_the_columns_of_a_table_are_aligned_under_their_headings(words: tuple[str, ...], in_workshop: Path) -> None:
    first, headings = TABLES[words]
    heading, *rows = rows_under(typed(*words), first)
    assert rows
    for name in headings:
        assert f"  {name}" in heading or heading.startswith(name)
    gaps = [k for k in range(1, len(heading)) if all(row[k - 1 : k + 1] == "  " for row in [heading, *rows])]
    columns = 1 + sum(1 for k, after in zip(gaps, [*gaps[1:], None], strict=True) if after != k + 1)
    assert columns >= len(headings)


@pytest.fixture
def fit_of_the_workshop(in_workshop: Path, monkeypatch: pytest.MonkeyPatch) -> Fit:
    """The fit that the verb prints without fitting again."""
    fitted = Fit.load("fit.json")
    monkeypatch.setattr(foretoken.fits, "fit", lambda *_, **__: fitted)
    return fitted


def test_fit_prints_parameters_with_units_and_the_other_objectives(fit_of_the_workshop: Fit) -> None:
    fitted, text = fit_of_the_workshop, typed("fit", "runs.csv")
    heading, *rows = rows_under(text, "parameter")
    assert heading.split("  ")[0] == "parameter"
    assert heading.rstrip().endswith("unit")
    assert "90 % interval" in heading
    assert [row.split()[0] for row in rows] == list(fitted.parameters)
    assert "nats per token x parameters^alpha" in rows[1]
    objectives = rows_under(text, "objective")
    assert [row.split()[0] for row in objectives[1:]] == [entry.objective for entry in fitted.sensitivity]
    assert "at 8 x compute" in objectives[0]


def test_fit_says_what_is_not_identified_and_each_doubt_with_its_cure(fit_of_the_workshop: Fit) -> None:
    fitted, text = fit_of_the_workshop, typed("fit", "runs.csv")
    assert text.count("not identified") >= sum(value is None for value in fitted.parameters.values())
    for check in fitted.checks:
        assert f"{check.severity}: {check.code}: " in text
        assert f"\n  cure: {check.cure}\n" in text
    for assumption in fitted.assumed:
        assert f"assumed: {assumption}" in text


def test_predict_prints_the_numbers_of_its_json(in_workshop: Path) -> None:
    values, text = strict_json(typed("predict", "fit.json", *RUN, "--json")), typed("predict", "fit.json", *RUN)
    assert text.startswith(f"loss {values['loss']:.4f} nats per token, 90 % interval {values['low']:.4f} to")
    assert f"flops {values['extrapolation']['flops']:.3g} times" in text
    for check in values["checks"]:
        assert check["code"] in text


def test_predict_says_which_interval_and_estimate(in_workshop: Path) -> None:
    text = typed("predict", "fit.json", *RUN, "--kind", "mean", "--estimator", "huber", "--level", "0.5")
    assert "50 % interval" in text
    assert "(mean, huber estimate)" in text


def test_plan_prints_the_numbers_of_its_json(in_workshop: Path) -> None:
    words = ("plan", "--compute", "1e22", "--fit", "fit.json")
    values, text = strict_json(typed(*words, "--json")), typed(*words)
    assert text.startswith(f"train {format_count(values['params'])} [")
    assert f"parameters on {format_count(values['tokens'])} [" in text
    assert f"loss {values['loss']:.4f} [" in text
    assert "(intervals: 90 %)" in text
    for choice in values["alternatives"]:
        assert f"\n{choice['name']}" in text


def test_compare_names_every_law_and_why_others_are_left_out() -> None:
    words = ("compare", "--compute", "1e22")
    values, text = strict_json(typed(*words, "--json")), typed(*words)
    for law in values["laws"]:
        assert f"\n{law['id']}" in text
        assert f"{law['tokens_per_param']:.3g}" in text
        factor = max(law["extrapolation"].values(), default=None)
        reach = "not recorded" if factor is None else f"{factor:.3g} times in" if factor > 1 else "inside"
        assert re.search(rf"\n{law['id']} .* {reach}", text)
    for law in values["left_out"]:
        assert f"left out: {law['id']}: {law['reason']}" in text


def test_a_ledger_is_a_table_that_shows_whole_intervals(in_workshop: Path, tmp_path: Path) -> None:
    where = ("--ledger", str(tmp_path))
    typed("ledger", "freeze", "fit.json", "a-rather-long-name", *RUN, *where)
    entry = strict_json(typed("ledger", "show", *where, "--json"))["entries"]
    heading, row = rows_under(typed("ledger", "show", *where), "forecast")
    assert len(entry) == 1
    assert row.startswith("a-rather-long-name")
    assert re.search(r"\d\.\d{4} to \d\.\d{4}", row)
    assert row.split()[-2:] == ["open", "nats"]
    typed("ledger", "score", "a-rather-long-name", "--loss", "2.2", *where)
    heading, row = rows_under(typed("ledger", "show", *where), "forecast")
    assert heading.split()[-4:] == ["error", "verdict", "frozen", "unit"]
    assert re.search(r"%\s+(in|out)side\s+not known to be frozen before the run", row)
    assert "2.2000" in row


def test_points_of_a_run_are_placed_without_writing(in_workshop: Path, tmp_path: Path) -> None:
    where = ("--ledger", str(tmp_path))
    typed("ledger", "freeze", "fit.json", "big", *RUN, *where)
    before = sorted(path.name for path in tmp_path.iterdir())
    text = typed("ledger", "score", "big", "--at", "16B:2.9", "--at", "140B:2.18", *where)
    assert len(re.findall(r"of tokens: loss", text)) == 2
    assert "until the learning rate comes down" in text
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--loss", "2", "--at", "1B:2"),
        ("--loss", "2", "--table", "runs.csv"),
        ("--table", "runs.csv"),
        ("--at", "1B"),
    ],
    ids=str,
)
def test_a_score_needs_one_loss(words: tuple[str, ...], in_workshop: Path, tmp_path: Path) -> None:
    where = ("--ledger", str(tmp_path))
    typed("ledger", "freeze", "fit.json", "big", *RUN, *where)
    with pytest.raises(ForetokenError, match=r"needs one of|must leave one row|not readable"):
        typed("ledger", "score", "big", *words, *where)


def test_an_outcome_is_written_once(in_workshop: Path, tmp_path: Path) -> None:
    where = ("--ledger", str(tmp_path))
    typed("ledger", "freeze", "fit.json", "big", *RUN, *where)
    text = typed("ledger", "score", "big", "--loss", "2.2", "--started", "2030-01-31T12:00:00Z", *where)
    assert "error " in text
    assert "frozen before the run" in text
    with pytest.raises(ForetokenError):
        typed("ledger", "score", "big", "--loss", "2.3", *where)
