"""The unit of a loss: from names, cells or what is said; converted or carried; never two in one table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foretoken.errors import ForetokenError, TableError
from foretoken.runs.loss_units import CARRIED, LOSS_UNITS, NATS_PER_TOKEN, named_loss_unit, short_unit, unit_in_name
from foretoken.runs.reading import as_table
from foretoken.runs.table import RunTable
from foretoken.store.read import read_table

N, D = np.array([7e7, 1.6e8, 4.1e8]), np.array([1.4e9, 3.2e9, 8.2e9])
LOSS = np.array([3.6, 3.2, 2.9])


def frame(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"params": N, "tokens": D, **columns})


def read(folder: Path, table: pd.DataFrame, loss: str = "", where: str = "", unit: str = "") -> RunTable:
    table.to_csv(folder / "a.csv", index=False)
    return read_table(folder / "a.csv", {"loss": loss} if loss else {}, where, loss_unit=unit)


@pytest.mark.parametrize(
    ("name", "unit", "kept"),
    [
        ("val_bpb", "bits per byte", "bits per byte"),
        ("BPC", "bits per character", "bits per character"),
        ("eval/bits_per_byte", "bits per byte", "bits per byte"),
        ("loss (bits/byte)", "bits per byte", "bits per byte"),
        ("loss [nats per byte]", "nats per byte", "nats per byte"),
        ("nats_per_char", "nats per character", "nats per character"),
        ("val_ppl", "perplexity", NATS_PER_TOKEN),
        ("lambada.word_perplexity", "perplexity per word", "nats per word"),
        ("byte_perplexity", "perplexity per byte", "nats per byte"),
        ("bits_per_token", "bits per token", NATS_PER_TOKEN),
        ("loss (nats/token)", NATS_PER_TOKEN, NATS_PER_TOKEN),
    ],
)
def test_the_name_of_a_column_says_the_unit(name: str, unit: str, kept: str, tmp_path: Path) -> None:
    found = LOSS_UNITS[unit]
    assert (unit_in_name(name), found.kept) == (found, kept)
    assert kept in CARRIED
    table = read(tmp_path, frame(**{name: LOSS}), name)
    assert table.loss_unit == kept
    np.testing.assert_allclose(table.frame["loss"], LOSS * found.factor if found.factor else np.log(LOSS))
    assert any(f"read in {unit}" in text and name in text for text in table.assumed)


@pytest.mark.parametrize("name", ["val_loss", "loss", "nll", "loss_nats", "bpe_loss", "8bit_loss", "oppl"])
def test_other_names_say_no_unit(name: str, tmp_path: Path) -> None:
    assert unit_in_name(name) is None
    assert read(tmp_path, frame(**{name: LOSS}), name).loss_unit == NATS_PER_TOKEN


@pytest.mark.parametrize("name", LOSS_UNITS)
def test_every_unit_is_found_by_its_name_and_its_short_name(name: str) -> None:
    assert named_loss_unit(name) == named_loss_unit(short_unit(name).upper()) == LOSS_UNITS[name]


@pytest.mark.parametrize(("text", "near"), [("bits/bite", "bits/byte"), ("perplexty", "perplexity"), ("nat", "")])
def test_an_unknown_unit_is_refused_with_the_near_one(text: str, near: str, tmp_path: Path) -> None:
    if not near:
        assert named_loss_unit(text).name == NATS_PER_TOKEN
        return
    with pytest.raises(TableError, match=f"did you mean '{near}'") as refused:
        read(tmp_path, frame(loss=LOSS), unit=text)
    assert refused.value.code == "unknown_loss_unit"


def test_bits_per_nothing_are_asked_about(tmp_path: Path) -> None:
    for table, loss, unit in ((frame(loss_bits=LOSS), "loss_bits", ""), (frame(loss=LOSS), "", "bits")):
        with pytest.raises(TableError, match='loss_unit="bits/token"') as asked:
            read(tmp_path, table, loss, unit=unit)
        assert asked.value.code == "loss_unit"
    told = read(tmp_path, frame(loss_bits=LOSS), "loss_bits", unit="bits/token")
    np.testing.assert_allclose(told.frame["loss"], LOSS * np.log(2))


@pytest.mark.parametrize("column", ["loss_unit", "metric_unit"])
def test_a_column_says_the_unit_of_its_rows(column: str, tmp_path: Path) -> None:
    table = read(tmp_path, frame(loss=LOSS, **{column: ["bits/byte", "BPB", "bits per byte"]}))
    assert table.loss_unit == "bits per byte"
    np.testing.assert_allclose(table.frame["loss"], LOSS)


@pytest.mark.parametrize("cells", [["nats/token", "bits/byte", "bits/byte"], ["", "bits/byte", "bits/byte"]])
def test_rows_in_several_units_are_refused_with_the_condition_that_keeps_one(cells: list[str], tmp_path: Path) -> None:
    mixed = frame(loss=LOSS, metric_unit=cells)
    with pytest.raises(TableError, match='where="metric_unit=bits/byte"') as refused:
        read(tmp_path, mixed)
    assert refused.value.code == "mixed_loss_units"
    kept = read(tmp_path, mixed, where="metric_unit=bits/byte")
    assert (len(kept), kept.loss_unit) == (2, "bits per byte")
    no_loss = read(tmp_path, mixed.assign(loss=[np.nan, *LOSS[1:]]))
    assert no_loss.loss_unit == "bits per byte"


def test_what_is_said_outright_wins_and_what_it_contradicts_is_told(tmp_path: Path) -> None:
    table = read(tmp_path, frame(val_ppl=LOSS), "val_ppl", unit="bits/byte")
    assert table.loss_unit == "bits per byte"
    np.testing.assert_allclose(table.frame["loss"], LOSS)
    (told,) = (text for text in table.assumed if "--loss-unit" in text)
    assert "though the name `val_ppl` says perplexity" in told


def test_a_name_and_a_column_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="loss_unit=") as refused:
        read(tmp_path, frame(val_bpb=LOSS, loss_unit="nats/token"), "val_bpb")
    assert refused.value.code == "loss_unit"


def test_the_standard_error_is_converted_with_its_loss(tmp_path: Path) -> None:
    table = read(tmp_path, frame(ppl=np.exp(LOSS), loss_se=0.01 * np.exp(LOSS)), "ppl")
    np.testing.assert_allclose(table.frame["loss_se"], 0.01)


def test_a_table_that_was_read_keeps_its_unit_through_a_file_and_a_frame(tmp_path: Path) -> None:
    table = read(tmp_path, frame(val_bpb=LOSS), "val_bpb")
    table.to_csv(tmp_path / "b.csv")
    assert read_table(tmp_path / "b.csv").loss_unit == as_table(table.frame).loss_unit == "bits per byte"
    assert as_table(table, loss_unit="bpb").frame.equals(table.frame)
    bare = frame(loss=LOSS, flops=6 * N * D)
    assert RunTable(bare, "").digest != as_table(RunTable(bare, ""), loss_unit="bits/byte").digest


def test_a_table_that_was_read_is_not_converted_again(tmp_path: Path) -> None:
    table = read(tmp_path, frame(ppl=np.exp(LOSS)), "ppl")
    with pytest.raises(TableError, match="say loss_unit where the table is read"):
        as_table(table, loss_unit="perplexity")


def test_our_own_records_are_in_nats_per_token(tmp_path: Path) -> None:
    with pytest.raises(ForetokenError, match="our own records"):
        read_table(tmp_path, loss_unit="bits/byte")
