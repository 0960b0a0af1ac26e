"""Tables as spreadsheets of several countries leave them: titles, merged headers, notes, decimal commas."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import foretoken as ft
from foretoken.errors import TableError
from foretoken.fits.rows import clean_rows
from foretoken.runs.cells import number

SIZES = np.repeat([2.0e7, 1.4e8, 2.2274e9], 4)
TOKENS = SIZES * np.tile([5.0, 20.0, 80.0, 1000.0], 3)
LOSS = (1.7 + 400 / SIZES**0.34 + 410 / TOKENS**0.28).round(4)


def german(value: float, digits: int, mark: str) -> str:
    return f"{value:,.{digits}f}".replace(",", "\0").replace(".", ",").replace("\0", mark)


def lines(mark: str = ".") -> list[str]:
    return [
        f"Lauf {k};{german(n / 1e6, 1, mark)};{german(d / 1e9, 2, mark)};{german(loss, 4, mark)}"
        for k, (n, d, loss) in enumerate(zip(SIZES, TOKENS, LOSS, strict=True))
    ]


def read(text: str, folder: Path, **rename: str) -> ft.RunTable:
    path = folder / "runs.csv"
    path.write_text(text, encoding="utf-8")
    return ft.read_table(path, rename)


def is_right(table: ft.RunTable) -> bool:
    columns = zip(("params", "tokens", "loss"), (SIZES, TOKENS, LOSS), strict=True)
    return all(np.allclose(table.frame[name].dropna(), values, rtol=1e-3) for name, values in columns)


NAMES = {"params": "Parameter (M)", "tokens": "Token (B)", "loss": "Verlust"}
HEADER = "Lauf;Parameter (M);Token (B);Verlust"


@pytest.mark.parametrize("mark", [".", " ", "\u00a0", "\u202f", "'", "’", ""])
def test_marks_between_thousands_beside_decimal_commas_in_one_column(mark: str, tmp_path: Path) -> None:
    table = read("\n".join([HEADER, *lines(mark)]), tmp_path, **NAMES)
    assert is_right(table)
    assert "decimal commas are read as points" in table.assumed


def test_a_title_above_and_notes_below_are_left_out_and_said(tmp_path: Path) -> None:
    text = ["Ergebnisse – Sommer 2025;;;", ";;;", HEADER, *lines(), ";;;", "* abgebrochen;;;", "Quelle: wir;;;"]
    table = read("\n".join(text), tmp_path, **NAMES)
    assert is_right(table)
    told = " ".join(table.assumed)
    assert "above the header is left out: Ergebnisse – Sommer 2025" in told
    assert "below the table is left out: * abgebrochen / Quelle: wir" in told


def test_two_header_rows_make_one(tmp_path: Path) -> None:
    text = ["Model,,Training,,Eval", "name,params (M),tokens (B),PF-days,C4"]
    text += [
        f"m{k},{n / 1e6},{d / 1e9},{6 * n * d / 8.64e19},{loss}"
        for k, (n, d, loss) in enumerate(zip(SIZES, TOKENS, LOSS, strict=True))
    ]
    table = read(
        "\n".join(text),
        tmp_path,
        params="Model.params (M)",
        tokens="Training.tokens (B)",
        loss="Eval.C4",
        flops="Training.PF-days",
    )
    assert is_right(table)
    assert table.frame["flops"].tolist() == pytest.approx((6 * SIZES * TOKENS).tolist())


def test_a_table_without_a_title_or_with_two_columns_is_whole(tmp_path: Path) -> None:
    two = tmp_path / "two.csv"
    two.write_text("flops,loss\n1e18,3.1\n1e19,2.9\n")
    assert len(ft.read_table(two, need=("flops", "loss"))) == 2
    one = tmp_path / "one.csv"
    one.write_text("loss\n3.1\n2.9\n")
    assert len(ft.read_table(one, need=("loss",))) == 2
    words = read("run,params,tokens,loss\na,1e7,1e9,3.1\nb,,,\n", tmp_path)
    assert len(words) == 1


def test_losses_by_size_and_length_are_asked_for_run_by_run(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="named by numbers") as told:
        read("N,1B,4B,16B\n10M,4.6,4.2,3.9\n30M,4.1,3.7,3.4\n", tmp_path)
    assert "frame.melt(['N'], var_name='tokens', value_name='loss')" in str(told.value)


@pytest.mark.parametrize(
    ("cell", "ours", "value"),
    [
        ("2.00 × 10⁷", "params", 2e7),
        ("1.5\u00a0×\u00a010⁻³", "loss", 1.5e-3),
        ("3.65 ± 0.02", "loss", 3.65),
        ("3.65+/-2e-2", "loss", 3.65),
        ("1.4亿", "params", 1.4e8),
    ],
)
def test_numbers_of_papers_and_other_languages(cell: str, ours: str, value: float) -> None:
    assert number(cell, ours) == pytest.approx(value)


def test_what_stands_behind_a_number_is_said(tmp_path: Path) -> None:
    table = ft.read_table(pd.DataFrame({"params": SIZES, "tokens": TOKENS, "loss": [f"{x} ± 0.01" for x in LOSS]}))
    assert is_right(table)
    assert "what stands behind ± in `loss` is not read" in table.assumed


def test_an_index_of_sizes_and_lengths_is_read_as_columns() -> None:
    frame = pd.DataFrame({"params": SIZES, "tokens": TOKENS, "loss": LOSS})
    assert is_right(ft.read_table(frame.groupby(["params", "tokens"], sort=False)[["loss"]].min()))


def test_a_state_that_says_no_more_than_the_end_and_a_flag_beside_it() -> None:
    frame = pd.DataFrame({"params": SIZES, "tokens": TOKENS, "loss": LOSS, "sys/state": "Inactive"})
    frame["sys/failed"] = [True] * 2 + [False] * 10
    rows = clean_rows(ft.read_table(frame))
    assert [(dropped.reason, dropped.count) for dropped in rows.dropped] == [("status is failed", 2)]


def test_points_that_share_a_run_name_are_of_one_training() -> None:
    frame = pd.DataFrame({"params": SIZES, "tokens": TOKENS, "loss": LOSS, "run_name": np.repeat(["a", "b", "c"], 4)})
    assert "undeclared_trajectories" in [check.code for check in ft.diagnose(frame).checks]
    assert "`run_name` is read as `run`" in ft.read_table(frame).assumed


def test_words_of_other_languages_for_the_end_of_a_run() -> None:
    frame = pd.DataFrame({"params": SIZES, "tokens": TOKENS, "loss": LOSS, "状态": ["完成"] * 11 + ["中断"]})
    assert len(clean_rows(ft.read_table(frame))) == 11


@pytest.mark.parametrize("column", ["state", "info.status", "State"])
def test_both_cures_of_an_unknown_word_can_be_typed(column: str) -> None:
    words = ["FINISHED"] * 9 + ["benched"] * 2 + ["odd"]
    frame = pd.DataFrame({"params": SIZES, "tokens": TOKENS, "loss": LOSS, column: words})
    with pytest.raises(TableError, match="what does the status 'benched' mean") as told:
        ft.read_table(frame)
    assert f'where="{column}=FINISHED|benched", rename={{"status": ""}}' in str(told.value)
    assert len(ft.read_table(frame, where=f"{column}=FINISHED|benched", rename={"status": ""})) == 11
    assert f'where="{column}!=benched|odd"' in str(told.value)
    assert len(ft.read_table(frame, where=f"{column}!=benched|odd")) == 9


def test_a_header_below_a_title_between_blanks(tmp_path: Path) -> None:
    text = ["Table A9: All models.", "Params    Tokens    Loss"]
    text += [f"{n / 1e6:,.1f}M    {d / 1e9:,.3f}B    {x}" for n, d, x in zip(SIZES, TOKENS, LOSS, strict=True)]
    assert "2,227.4M" in text[-1]
    table = read("\n".join(text), tmp_path, params="Params", tokens="Tokens", loss="Loss")
    assert is_right(table)
    assert "above the header is left out: Table A9: All models." in table.assumed


def test_sizes_of_merged_cells_are_asked_for_in_every_row(tmp_path: Path) -> None:
    frame = pd.DataFrame({"params": SIZES, "tokens": TOKENS, "loss": LOSS})
    merged = frame.assign(params=frame["params"].where(~frame["params"].duplicated()))
    with pytest.raises(TableError, match="stands in 3 of 12 rows") as told:
        ft.read_table(merged)
    assert told.value.code == "merged_cells"
    assert is_right(ft.read_table(merged.assign(params=merged["params"].ffill())))
    # A size that is missing here and there is left out as ever.
    assert len(ft.read_table(frame.assign(params=frame["params"].where(np.arange(12) % 4 > 0)))) == 12


def test_a_table_without_names_is_called_that(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="no names of columns") as told:
        read("1e7,1e9,3.9\n3e7,1e9,3.7\n", tmp_path)
    assert told.value.code == "no_header"


def test_every_reader_takes_names_and_conditions() -> None:
    frame = pd.DataFrame({"N": SIZES, "D": TOKENS, "L": LOSS, "kind": ["a"] * 11 + ["b"]})
    names = {"params": "N", "tokens": "D", "loss": "L"}
    assert ft.fit(frame, "chinchilla", rename=names, where="kind=a", draws=50).rows.used == 11
    assert ft.diagnose(frame, rename=names, where="kind=a").rows.used == 11


def test_filters_of_an_evaluation_harness_hide_no_unit() -> None:
    frame = pd.DataFrame({"params": SIZES, "tokens": TOKENS, "results.wikitext.bits_per_byte,none": LOSS})
    with pytest.raises(TableError, match=r'"loss": "results\.wikitext\.bits_per_byte,none"'):
        ft.read_table(frame)
    table = ft.read_table(frame, rename={"loss": "results.wikitext.bits_per_byte,none"})
    assert table.loss_unit == "bits per byte"


@pytest.mark.parametrize(
    ("names", "proposed"),
    [
        (("params_lr", "user_attrs_n_params"), "user_attrs_n_params"),
        (("model_size", "num_params"), "num_params"),
        (("params_active_lr", "Parameter (M)"), "Parameter (M)"),
    ],
)
def test_the_likeliest_count_is_proposed(names: tuple[str, ...], proposed: str) -> None:
    frame = pd.DataFrame({name: SIZES for name in names} | {"tokens": TOKENS, "loss": LOSS})
    with pytest.raises(TableError) as told:
        ft.read_table(frame)
    assert f'{{"params": "{proposed}"}}' in str(told.value)


def test_no_spread_of_a_loss_is_proposed_for_it() -> None:
    frame = pd.DataFrame({"params": SIZES, "tokens": TOKENS, "val_loss.std": 0.01, "val_loss.mean": LOSS})
    with pytest.raises(TableError, match=r'"loss": "val_loss\.mean"'):
        ft.read_table(frame)


def test_terminated_beside_completed_is_not_finished() -> None:
    frame = pd.DataFrame({"params": SIZES, "tokens": TOKENS, "loss": LOSS})
    both = frame.assign(status=["completed"] * 10 + ["terminated"] * 2)
    assert len(clean_rows(ft.read_table(both))) == 10
    assert len(clean_rows(ft.read_table(frame.assign(status="TERMINATED")))) == 12


def test_units_of_names_count_beside_numbers_that_are_no_units() -> None:
    frame = pd.DataFrame({"params_M": SIZES / 1e6, "loss": LOSS, "PF-days": 6 * SIZES * TOKENS / 8.64e19})
    frame["steps_k"] = TOKENS / 524_288 / 1e3
    for typed in ("PF-days/6/params_M", "8.64e19*PF-days/6/params_M", "steps_k*524288", "1e3*steps_k*524288"):
        assert is_right(ft.read_table(frame, {"params": "params_M", "tokens": typed}))


def test_a_mark_in_the_place_of_a_failed_run_s_loss_is_not_held_against_the_table() -> None:
    frame = pd.DataFrame({"params": SIZES, "tokens": TOKENS, "loss": [*LOSS.astype(str)[:11], "!"]})
    rows = clean_rows(ft.read_table(frame.assign(State=["Success"] * 11 + ["Failed"])))
    assert [(dropped.reason, dropped.count) for dropped in rows.dropped] == [("status is failed", 1)]
    with pytest.raises(TableError, match=r"leave the rows out: where=.loss!=!"):
        ft.read_table(frame)


@pytest.mark.parametrize("heading", ["État", "Ergebnis", "how it went"])
def test_a_column_of_words_for_ends_is_a_status_whatever_it_is_called(heading: str) -> None:
    frame = pd.DataFrame({"params": SIZES, "tokens": TOKENS, "loss": LOSS, heading: ["terminé"] * 11 + ["échoué"]})
    table = ft.read_table(frame)
    assert f"`{heading}` is read as `status`" in table.assumed
    assert len(clean_rows(table)) == 11


def test_lines_that_begin_with_a_mark_are_comments_a_header_or_rows(tmp_path: Path) -> None:
    rows = [f"r{k},{n},{d},{x}" for k, (n, d, x) in enumerate(zip(SIZES, TOKENS, LOSS, strict=True))]
    header = "run,params,tokens,loss"
    commented = read("\n".join(["# sweep of May", header, *rows[:6], "# second week, rerun", *rows[6:]]), tmp_path)
    assert is_right(commented)
    assert "2 lines that begin with # are left out" in commented.assumed
    assert is_right(read("\n".join(["#" + header, *rows]), tmp_path))
    named = [f"#{row}" if k % 2 else row for k, row in enumerate(rows)]
    assert is_right(read("\n".join([header, *named]), tmp_path))
    # One row that was commented out is one.
    assert len(read("\n".join([header, *rows[:-1], f"#{rows[-1]}"]), tmp_path)) == 11


def test_points_that_may_be_decimal_or_between_thousands_are_asked_about(tmp_path: Path) -> None:
    rows = [f"{n:.0f};{d:.0f};{x:.3f};0,003" for n, d, x in zip(SIZES, TOKENS, LOSS, strict=True)]
    with pytest.raises(TableError, match="commas are decimal elsewhere") as told:
        read("\n".join(["params;tokens;loss;lr", *rows]), tmp_path)
    assert told.value.code == "unreadable_cell"


def test_other_columns_may_have_one_name(tmp_path: Path) -> None:
    text = "\n".join(
        ["x,params,x,tokens,loss", *(f"a,{n},b,{d},{x}" for n, d, x in zip(SIZES, TOKENS, LOSS, strict=True))]
    )
    table = read(text, tmp_path)
    assert is_right(table)
    assert ft.diagnose(table).rows.used == 12
