"""Tables whose rows are metrics, whose cells are curves or lists of named values, or which are plain text."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import foretoken as ft
from foretoken.errors import RefusedError, TableError
from foretoken.fits.rows import clean_rows
from foretoken.runs.reading import table_from_frame
from foretoken.runs.sources import parse_map

SIZES = np.repeat([1e7, 3e7, 1e8, 3e8], 3)
TOKENS = SIZES * np.tile([10.0, 30.0, 90.0], 4)
LOSS = 1.7 + 400 / SIZES**0.34 + 410 / TOKENS**0.28


def runs() -> pd.DataFrame:
    return pd.DataFrame({"run": [f"r{k}" for k in range(12)], "params": SIZES, "tokens": TOKENS, "loss": LOSS.round(5)})


def written(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("column", "words"),
    [("context.subset", ("train", "val")), ("split", ("training", "validation")), ("metric", ("a_loss", "b_loss"))],
)
@pytest.mark.parametrize("has_name", [True, False])
def test_several_rows_of_each_run_are_refused_with_the_word_that_parts_them(
    column: str, words: tuple[str, str], has_name: bool
) -> None:
    if not has_name and column == "metric":
        pytest.skip("without names such rows could be of different runs")
    name = column if column != "metric" else "which"
    both = [runs().assign(**{name: word}, loss=LOSS + shift) for word, shift in zip(words, (0.0, 0.2), strict=True)]
    frame = pd.concat(both).drop(columns=[] if has_name else "run")
    with pytest.raises(RefusedError, match="several_losses_of_a_run") as told:
        clean_rows(ft.read_table(frame))
    kept = words[1] if column != "metric" else words[0]
    assert f'where="{name}={kept}"' in str(told.value)
    assert len(clean_rows(ft.read_table(frame, where=f"{name}={kept}"))) == 12


def test_two_seeds_or_machines_of_one_setting_are_no_long_format() -> None:
    seeds = pd.concat([runs().assign(seed=seed, host=f"gpu{seed}", loss=LOSS + 0.01 * seed) for seed in (0, 1)])
    assert len(clean_rows(ft.read_table(seeds))) == 24
    unnamed = seeds.drop(columns=["run", "seed"]).assign(host=["a", "b"] * 12)
    assert len(clean_rows(ft.read_table(unnamed))) == 24


def test_metrics_of_several_units_in_one_column_are_refused() -> None:
    frame = runs().assign(eval_metric=["nll", "ppl"] * 6)
    with pytest.raises(TableError, match="several units") as told:
        ft.read_table(frame)
    assert told.value.code == "mixed_loss_units"
    assert "12" not in str(told.value)
    assert "nll (6 rows), ppl (6 rows)" in str(told.value)


def test_a_metric_of_one_unit_says_it() -> None:
    assert ft.read_table(runs().assign(metric="bpb")).loss_unit == "bits per byte"
    assert ft.read_table(runs().assign(metric="val_loss")).loss_unit == "nats per token"
    assert ft.read_table(runs().assign(metric="quality")).loss_unit == "nats per token"


def test_one_run_under_two_names_is_told() -> None:
    frame = pd.concat([runs(), runs().tail(2).assign(run=["workspace", "again"], note="x")])
    codes = [check.code for check in ft.diagnose(frame).checks]
    assert "duplicated_rows" in codes
    # Two digits are shared by chance.
    rounded = pd.concat([runs(), runs().tail(2).assign(run=["s", "t"], seed=2)]).assign(
        loss=lambda t: t["loss"].round(1)
    )
    assert "duplicated_rows" not in [check.code for check in ft.diagnose(rounded).checks]


def test_a_fit_tells_of_checkpoints_as_a_diagnosis_does() -> None:
    tokens = np.tile(np.linspace(1e9, 6e9, 6), 4)
    sizes = np.repeat([1e7, 3e7, 1e8, 3e8], 6)
    frame = pd.DataFrame({"params": sizes, "tokens": tokens, "loss": 1.7 + 400 / sizes**0.34 + 410 / tokens**0.28})
    fit, diagnosis = ft.fit(frame, draws=50), ft.diagnose(frame)
    for checks in (fit.checks, diagnosis.checks):
        assert [check.code for check in checks].count("undeclared_trajectories") == 1


@pytest.mark.parametrize(("key", "value"), [("key", "value"), ("name", "valueCurrent")])
def test_named_values_in_a_list_are_columns_of_their_names(key: str, value: str, tmp_path: Path) -> None:
    rows = [
        {
            "info": {"status": "FINISHED"},
            "data": {
                "params": [{key: "n", value: str(n)}],
                "metrics": [{key: "loss", value: 9.0, "step": 1}, {key: "loss", value: loss, "step": 2}],
            },
            "tokens": d,
        }
        for n, d, loss in zip(SIZES, TOKENS, LOSS, strict=True)
    ]
    path = written(tmp_path / "runs.json", {"runs": rows})
    table = ft.read_table(path, rename={"params": "data.params.n", "loss": "data.metrics.loss"})
    assert table.frame["loss"].tolist() == pytest.approx(LOSS.tolist())
    assert table.frame["params"].tolist() == SIZES.tolist()


def test_a_curve_in_a_cell_is_called_that_and_its_end_can_be_taken(tmp_path: Path) -> None:
    curves = [[5.0, 4.0, float(loss)] for loss in LOSS]
    frame = runs().drop(columns="loss").assign(history=[{"val_loss": curve} for curve in curves])
    path = written(tmp_path / "runs.jsonl", frame.to_json(orient="records", lines=True))
    with pytest.raises(TableError, match=r'rename=\{"loss": "history.val_loss\[-1\]"\}'):
        ft.read_table(path)
    with pytest.raises(TableError, match="a list in each cell") as told:
        ft.read_table(path, rename={"loss": "history.val_loss"})
    assert r"history.val_loss[-1]" in str(told.value)
    assert ft.read_table(path, rename={"loss": "history.val_loss[-1]"}).frame["loss"].tolist() == pytest.approx(LOSS)
    assert ft.read_table(path, rename={"loss": "history.val_loss[0]"}).frame["loss"].tolist() == [5.0] * 12
    # As text, too.
    text = runs().drop(columns="loss").assign(curve=[json.dumps(curve) for curve in curves])
    assert ft.read_table(text, rename={"loss": "curve[-1]"}).frame["loss"].tolist() == pytest.approx(LOSS)


@pytest.mark.parametrize("gap", ["  ", "     ", " "])
def test_fields_between_blanks(gap: str, tmp_path: Path) -> None:
    names = ["params", "tokens", "loss"] if gap == " " else ["params", "tokens", "val loss"]
    lines = [gap.join(names), *(gap.join(map(str, row)) for row in runs()[["params", "tokens", "loss"]].to_numpy())]
    table = ft.read_table(
        written(tmp_path / "paper.txt", "\n".join(lines)), rename={} if gap == " " else {"loss": "val loss"}
    )
    assert table.frame["loss"].tolist() == pytest.approx(LOSS.round(5).tolist())
    assert "fields are between blanks" in table.assumed


@pytest.mark.parametrize(
    ("cells", "read"),
    [
        (("1.400,5", "70.000.000", "3,65"), (1400.5, 7e7, 3.65)),
        (("1,400", "70,000,000", "3.65"), (1400.0, 7e7, 3.65)),
        (("1,400", "2,100", "3,650"), (1400.0, 2100.0, 3650.0)),
        (("0,400", "2,100", "3,650"), (0.4, 2.1, 3.65)),
    ],
)
def test_commas_in_markdown_are_decimal_where_they_cannot_part_thousands(
    cells: tuple[str, ...], read: tuple[float, ...], tmp_path: Path
) -> None:
    path = written(tmp_path / "t.md", "\n".join(["| a | b | loss |", "|---|---|---|", f"| {' | '.join(cells)} |"]))
    row = ft.read_table(path, rename={"params": "a", "tokens": "b"}, need=()).frame.iloc[0]
    assert [float(row[name]) for name in ("params", "tokens", "loss")] == list(read)


def test_columns_of_several_levels_have_dotted_names() -> None:
    frame = runs().drop(columns="run").assign(se=0.1)
    frame.columns = pd.MultiIndex.from_tuples([("params", ""), ("tokens", ""), ("loss", "mean"), ("loss", "std")])
    table = ft.read_table(frame, rename={"loss": "loss.mean"})
    assert table.frame["loss"].tolist() == pytest.approx(LOSS.round(5).tolist())


def test_every_different_word_among_numbers_is_told_at_once() -> None:
    frame = runs().astype({"loss": object})
    frame.loc[[2, 5, 7], "loss"] = ["diverged", "OOM", "diverged"]
    with pytest.raises(TableError, match=r"'diverged' in row 3, 'OOM' in row 6\n") as told:
        ft.read_table(frame)
    assert told.value.code == "unreadable_cell"


def test_other_columns_that_could_be_the_loss_are_said() -> None:
    frame = (
        runs().rename(columns={"loss": "eval.c4.bpb"}).assign(**{"eval.wiki.bpb": LOSS[::-1], "train_loss": LOSS + 1})
    )
    told = ft.read_table(frame, rename={"loss": "eval.c4.bpb"}).assumed
    assert any("`eval.wiki.bpb` could be it too" in note for note in told)
    assert not any("train_loss" in note for note in told)
    beside = ft.read_table(runs().assign(val_loss=LOSS + 0.1, ppl=np.exp(LOSS.round(5)))).assumed
    assert [note for note in beside if "could be it too" in note] == [
        "the loss is `loss`; `val_loss` could be it too: --map loss=val_loss"
    ]


def test_compute_under_another_name_is_told_where_it_is_counted_instead() -> None:
    told = ft.read_table(runs().drop(columns="flops", errors="ignore").assign(training_flops=1e18)).assumed
    assert "`training_flops` could be `flops`: --map flops=training_flops" in told


def test_a_quotient_of_columns_and_numbers() -> None:
    frame = runs().assign(**{"train/flops": 6 * SIZES * TOKENS}).drop(columns="tokens")
    for typed in ("train/flops/6/params", "train/flops/params/6"):
        table = table_from_frame(frame, "a test", parse_map(f"tokens={typed}"))
        assert table.frame["tokens"].tolist() == pytest.approx(TOKENS.tolist())
    with pytest.raises(TableError, match="no column 'size'"):
        table_from_frame(frame, "a test", {"tokens": "train/flops/size"})


@pytest.mark.parametrize(
    ("column", "values", "left"),
    [
        ("done", [True] * 10 + [False] * 2, "status is unfinished"),
        ("Statut", ["finished"] * 10 + ["failed"] * 2, "status is failed"),
    ],
)
def test_ends_of_runs_in_flags_and_under_other_words(column: str, values: list[object], left: str) -> None:
    rows = clean_rows(ft.read_table(runs().assign(**{column: values})))
    assert [(dropped.reason, dropped.count) for dropped in rows.dropped] == [(left, 2)]


def test_an_unknown_status_is_offered_both_meanings() -> None:
    frame = runs().assign(Statut=["finished"] * 10 + ["raté"] * 2)
    with pytest.raises(TableError, match="what does the status 'raté' mean") as told:
        ft.read_table(frame)
    assert 'where="Statut!=raté"' in str(told.value)
    assert len(ft.read_table(frame, where="Statut!=raté")) == 10
    assert 'where="Statut=finished|raté", rename={"status": ""}' in str(told.value)
    assert len(ft.read_table(frame, where="Statut=finished|raté", rename={"status": ""})) == 12
