"""Runs from a file of any kind (runs/files.py) or from the records below a folder, in our columns and units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from foretoken.arguments import named_arguments
from foretoken.errors import StoreError, TableError
from foretoken.runs.loss_units import NATS_PER_TOKEN, named_loss_unit
from foretoken.runs.reading import AnyTable, as_table, table_from_frame
from foretoken.runs.record import RunRecord
from foretoken.runs.table import NEEDED, RunTable, table_from_records
from foretoken.store.bucket import as_url
from foretoken.store.fetch import study_folder_at
from foretoken.store.seals import sealed
from foretoken.store.store import read_record


@named_arguments
def read_table(
    path: AnyTable,
    rename: Mapping[str, str] | None = None,
    where: str = "",
    need: Sequence[str] = NEEDED,
    *,
    loss_unit: str = "",
) -> RunTable:
    """Read runs from a file of any kind (CSV, JSON, parquet, ..., compressed or not), a frame, or a folder of records.

    Units are carried: a column's name (`params_M`, `tokens (billions)`), its cells (`70M`, `6.1 ZFLOP`) or `rename`
    (`mparams:M`) say them. A missing `flops` is filled with 6 x params x tokens. Whatever was done or assumed is said
    in `assumed`.

    Args:
        path: the file, `-` for standard input, the folder of a study or its URL (`launch.bucket`), or a frame of
            pandas, polars, ....
        rename: our column: the file's, as in `{"loss": "val_loss", "tokens": "steps*batch*context", "params": "n:M"}`;
            an empty name leaves our column unread.
        where: conditions that the rows meet, as `dataset=c4,step>=20000`.
        need: columns that must be there, `params` standing for any count of parameters.
        loss_unit: what the loss is in (`bits/byte`, `perplexity`, ...), where neither the name of its column nor a
            column `loss_unit` says it, or both are wrong. Per token becomes nats per token; all else is kept.

    Raises TableError when a column is missing or holds no numbers, no row is left, or a count cannot be what it is
    said to be (a language model of 70 parameters), or rows are in several units of the loss.

    """
    if isinstance(path, str | Path):
        path = study_folder_at(path) if as_url(path) else path
    if not isinstance(path, str | Path) or not Path(path).is_dir():
        return as_table(path, need, loss_unit, rename, where)
    path = Path(path)
    refuse_unit_of_ours(loss_unit)
    table = table_from_records(records_in(path), str(path))
    told = [f"all {len(table)} records below {path} are rows, a target among them"]
    return table_from_frame(table.frame, str(path), rename, where, need, told, ours=True)


def refuse_unit_of_ours(loss_unit: str) -> None:
    """Raise TableError for another unit than that of our own records.

    >>> refuse_unit_of_ours("nats/token")
    """
    if loss_unit and named_loss_unit(loss_unit).name != NATS_PER_TOKEN:
        raise TableError(
            f"our own records are in {NATS_PER_TOKEN}",
            got=f"--loss-unit {loss_unit}",
            cure="leave it out",
            code="loss_unit",
        )


def records_in(folder: Path) -> list[RunRecord]:
    """Our records below a folder. Raises TableError when there are none, or one cannot be read."""
    # Whole paths, for a run's folder alone still lies in its study, whose seals vouch for the record.
    paths = sorted(folder.absolute().rglob("record.json"))
    if not paths:
        raise TableError(f"{folder} holds no records", expected="a study's folder, or run folders with record.json")
    records = []
    seals = {study: sealed(study) for study in {path.parents[:3][-1] for path in paths}}
    for path in paths:
        study = path.parents[:3][-1]
        try:
            records.append(read_record(path, seals[study].get(path.relative_to(study).as_posix())))
        except StoreError as error:
            cure = "leave the run out, or train it again"
            raise TableError(error.message, got=error.got, cure=cure, code=error.code) from error
    return records
