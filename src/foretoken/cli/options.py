"""Options and arguments that several verbs share, and what they read: studies, folders and run tables."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foretoken.errors import ForetokenError, StoreError
from foretoken.escapes import command

if TYPE_CHECKING:
    from foretoken.runs.study_file import Study
    from foretoken.runs.table import RunTable

typed_command = ContextVar("typed_command", default="")
"""The command line as it was typed, for the foot of a page; empty where a verb is called otherwise."""

StudyArgument = Annotated[
    Path, typer.Argument(metavar="STUDY", help="A study file (.toml), or a built-in study: quickstart.")
]
FolderArgument = Annotated[
    Path, typer.Argument(metavar="STUDY", help="A study file (.toml), or a study's folder or URL.")
]
SeedOption = Annotated[int | None, typer.Option("--seed", help="Use this seed K, in the folder NAME-seed-K.")]
FolderOption = Annotated[Path | None, typer.Option("--folder", help="The study's folder; runs/NAME unless given.")]


def _folder_of_url(table: Path) -> Path:
    """A copy of the study at a URL; any other table as it was given."""
    from foretoken.store.fetch import study_folder_at

    return study_folder_at(table)


TableArgument = Annotated[
    Path,
    typer.Argument(
        metavar="TABLE",
        callback=_folder_of_url,
        help="Run table (.csv, .tsv, .json, .jsonl, .parquet, .feather, .md, also .gz or .zst; - reads standard input),"
        " a folder of our records or its URL, or sample (some runs of our own).",
    ),
]
MapOption = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        help="Columns by other names, products and units: loss=val_loss,tokens=steps*batch,params=n:M.",
        metavar="OURS=THEIRS,...",
    ),
]
WhereOption = Annotated[
    list[str] | None,
    typer.Option("--where", help="Which rows to read: dataset=c4,step>=20000.", metavar="COLUMN=VALUE,..."),
]
LossUnitOption = Annotated[
    str,
    typer.Option(
        "--loss-unit",
        help="What the loss is in, where its column does not say: bits/byte, nats/token, perplexity, ...",
        metavar="UNIT",
    ),
]
ParamsOption = Annotated[str, typer.Option("--params", help="The column to use as N, or auto.")]
LawOption = Annotated[
    str,
    typer.Option(
        "--law",
        help="The law: weighed (the average of several, the usual forecast), coupled, chinchilla, or another of"
        " `foretoken laws`; or your own: 'E + A / N**a + B / D**b'.",
    ),
]
LevelOption = Annotated[float, typer.Option("--level", help="Probability that an interval holds.")]
GroupOption = Annotated[
    str, typer.Option("--group", help="The column that tells series of models apart: family, dataset, ...")
]
UnitOption = Annotated[
    str, typer.Option("--unit", help="What scores are in, where numbers do not tell: fraction, percent, raw.")
]
BetterOption = Annotated[
    str,
    typer.Option(
        "--better", help="higher or lower: which is the better score, where the name of the metric does not say."
    ),
]
ChanceOption = Annotated[
    float | None, typer.Option("--chance", help="What guessing scores, as the metric counts: of an error 0.75.")
]
CeilingOption = Annotated[
    float | None, typer.Option("--ceiling", help="The best score there can be, as the metric counts: of an error 0.05.")
]
ItemsOption = Annotated[float | None, typer.Option("--items", help="Items (questions) behind each score.")]
HtmlOption = Annotated[
    Path | None, typer.Option("--html", metavar="PAGE", help="Write a page with figures to this file.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def load(path: Path, seed: int | None = None) -> Study:
    """Read a study file; with another seed than its own, the study gets a name (and so a folder) of its own."""
    from foretoken.runs.study_file import load_study

    study = load_study(path)
    if seed is None or seed == study.seed:
        return study
    return load_study(path, seed=seed, name=f"{study.name}-seed-{seed}")


def folder_of(path: Path, seed: int | None = None, folder: Path | None = None, *, whole: bool = False) -> Path:
    """The folder of a study that is given by its file, by the folder itself, or by its URL, of which it is a copy."""
    from foretoken.store.bucket import as_url
    from foretoken.store.fetch import study_folder_at

    if folder is not None or as_url(path):
        return folder or study_folder_at(path, whole=whole)
    return path if path.is_dir() else Path("runs") / load(path, seed).name


def started_folder(path: Path, seed: int | None = None, folder: Path | None = None, *, whole: bool = False) -> Path:
    """As `folder_of`, but the study must have been started."""
    study_folder = folder_of(path, seed, folder, whole=whole)
    if not (study_folder / "design.json").is_file():
        raise StoreError(
            f"no study has been started in {study_folder}",
            expected="a folder with design.json",
            cure=command("run", path) if path.suffix == ".toml" else "give the study's file or folder",
        )
    return study_folder


def given_together(texts: Sequence[str] | None) -> str:
    """What was given several times, as if at once: --map loss=l --map tokens=t.

    >>> given_together(["loss=l", "tokens=t"]), given_together(None)
    ('loss=l,tokens=t', '')
    """
    return ",".join(text for text in texts or () if text.strip())


def open_table(
    path: Path,
    renames: Sequence[str] | None = None,
    conditions: Sequence[str] | None = None,
    law: str = "weighed",
    loss_unit: str = "",
) -> RunTable:
    """A run table from a file, from a study's folder (its ladder, without the target), or from a folder of records.

    `renames`, `conditions` and `loss_unit` are the texts of --map, --where and --loss-unit; `law` says which columns
    the table must have.
    """
    from dataclasses import replace

    from foretoken.fits.law_columns import needed
    from foretoken.laws import law_or_heaviest
    from foretoken.runs.filters import filter_rows
    from foretoken.runs.sources import parse_map
    from foretoken.store.bucket import as_url
    from foretoken.store.fetch import study_folder_at
    from foretoken.store.read import read_table, refuse_unit_of_ours

    path = study_folder_at(path) if as_url(path) else path
    rename, where = given_together(renames), given_together(conditions)
    study = path.is_dir() and ((path / "design.json").is_file() or not any(path.rglob("record.json")))
    if not study:
        return read_table(path, parse_map(rename), where, needed(law_or_heaviest(law)), loss_unit=loss_unit)
    if rename:
        raise ForetokenError("a study's folder has our columns already", got=f"--map {rename}", cure="leave out --map")
    refuse_unit_of_ours(loss_unit)
    from foretoken.study.results import ladder_table

    table = ladder_table(path)
    frame, kept_rows = filter_rows(table.frame, where)
    assumed = (*table.assumed, "the study's target is left out of the fit", *kept_rows)
    return replace(table, frame=frame, assumed=assumed)


def listed(text: str) -> list[str]:
    """`7B, 13B` -> ["7B", "13B"]."""
    return [word.strip() for word in text.split(",") if word.strip()]
