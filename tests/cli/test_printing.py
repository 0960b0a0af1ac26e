"""How results are printed: tables, checks, reasons why runs are new, errors of rivals, JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretoken.cli.printing import (
    print_assumed,
    print_checks,
    print_json,
    print_new_runs,
    print_table,
    rivals_text,
    table_lines,
)
from foretoken.fits.check import Check

WORDS = st.text(alphabet="abcXYZ089.+-%[]/ ", max_size=12).map(str.strip)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of as many cells."""
    columns = draw(st.integers(1, 5))
    rows = st.lists(st.lists(WORDS, min_size=columns, max_size=columns), max_size=5)
    return draw(st.lists(WORDS, min_size=columns, max_size=columns)), draw(rows)


@given(table=tables(), left=st.integers(0, 5))
def test_each_column_ends_or_begins_at_one_place(table: tuple[list[str], list[list[str]]], left: int) -> None:
    headings, rows = table
    lines = table_lines(headings, rows, left)
    widths = [max(len(row[k]) for row in [headings, *rows]) for k in range(len(headings))]
    assert len(lines) == len(rows) + 1
    for line, row in zip(lines, [headings, *rows], strict=True):
        start = 0
        for k, (cell, width) in enumerate(zip(row, widths, strict=True)):
            field = line[start : start + width].ljust(width)
            assert field == (cell.ljust(width) if k < left else cell.rjust(width))
            start += width + 2


@given(table=tables())
def test_no_line_is_cut_and_none_ends_in_blanks(table: tuple[list[str], list[list[str]]]) -> None:
    headings, rows = table
    for line, row in zip(table_lines(headings, rows), [headings, *rows], strict=True):
        assert line == line.rstrip()
        assert "".join(line.split()) == "".join("".join(row).split())


def test_a_row_of_another_length_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="zip"):
        table_lines(["a", "b"], [["1"]])


def test_what_steers_a_terminal_is_escaped() -> None:
    (_, row) = table_lines(["law"], [["\x1b[2Jred"]])
    assert "\x1b" not in row
    assert "\\x1b[2Jred" in row


def test_brackets_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["[bold]", "loss [nats]"], [["[/red]", "2.1"]], "a [title]")
    assert capsys.readouterr().out.splitlines() == ["a [title]", "[bold]  loss [nats]", "[/red]          2.1"]


def test_a_table_without_a_title_begins_with_its_headings(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["N", "D"], [["7B", "140B"]], left=0)
    assert capsys.readouterr().out == " N     D\n7B  140B\n"


def test_a_check_has_its_evidence_and_its_cure(capsys: pytest.CaptureFixture[str]) -> None:
    print_checks([Check("few_runs", "doubt", "8 runs", "add runs"), Check("b", "note", "x", "y")])
    assert capsys.readouterr().out.splitlines() == [
        "doubt: few_runs: 8 runs",
        "  cure: add runs",
        "note: b: x",
        "  cure: y",
    ]


def test_assumptions_have_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    print_assumed(["6 N D", "fresh tokens"])
    print_assumed([])
    assert capsys.readouterr().out == "assumed: 6 N D\nassumed: fresh tokens\n"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_no_json_number_is_never_printed_as_one(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        print_json({"loss": value})


def test_json_is_what_was_given(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"loss": 2.5, "reason": None, "runs": [1, 2]})
    assert json.loads(capsys.readouterr().out) == {"loss": 2.5, "reason": None, "runs": [1, 2]}


def test_rivals_are_signed_and_absent_ones_leave_no_brackets() -> None:
    assert rivals_text({"largest_run": 0.15994, "power_law": -0.127}) == (
        " (rivals: largest run +15.99 %, power law -12.70 %)"
    )
    assert rivals_text({}) == ""


def test_runs_that_are_new_for_the_same_reason_share_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_new_runs([{"clip": (1.0, 2.0)}, None, {"seed": (0, 1)}, {"clip": (1.0, 0.5)}])
    assert capsys.readouterr().out.splitlines() == [
        "2 runs are new; what has changed (values of the first run): clip (1 -> 2)",
        "1 run is new; what has changed: seed (0 -> 1)",
    ]


def test_no_new_runs_need_no_words(capsys: pytest.CaptureFixture[str]) -> None:
    print_new_runs([None, None])
    assert capsys.readouterr().out == ""
