"""What a command leaves as its result: JSON, JSON lines, a table, TensorBoard, trainer_state.json, a folder of W&B."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foretoken.bounded import read_file
from foretoken.errors import TableError, needing
from foretoken.escapes import in_one_line
from foretoken.runs.files import read_frame
from foretoken.runs.record import CurvePoint
from foretoken.runs.trainer_section import HELD_OUT, RESULT_NAMES

LARGEST = 2**28
"""Bytes of the largest file of a result."""
MOST_POINTS = 1000
"""Points of a curve that are kept: the rest lies in the command's own files."""
Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class CommandResult:
    """What a run's command says of it."""

    loss: float
    """Nats per token; it may be NaN, of a run that diverged."""
    loss_se: float | None = None
    curve: tuple[CurvePoint, ...] = ()
    tokens: float | None = None
    """That it says it has trained."""
    seconds: float | None = None
    device: str = ""


def read_result(path: Path, names: Mapping[str, str], batch_tokens: int) -> CommandResult:
    """The result in a file or folder; `names` are theirs by ours, `batch_tokens` turn steps into tokens.

    Raises TableError where there is no loss, or two columns may be it.
    """
    rows = [_with_products(_flat(row), names) for row in _rows(path)]
    loss = _column(rows, "loss", names, path)
    if loss is None:
        known = ", ".join(sorted({name for row in rows for name in row})[:20]) or "nothing"
        raise TableError(
            f"{path} has no loss",
            expected=f"one of {', '.join(RESULT_NAMES['loss'])}",
            got=known,
            cure='name it in the study file: [trainer] map = { loss = "..." }',
        )
    found = {ours: _column(rows, ours, names, path) for ours in ("loss_se", "tokens", "step", "seconds", "device")}
    last = {ours: _last(rows, theirs) for ours, theirs in found.items() if theirs}
    return CommandResult(
        loss=_number(_last(rows, loss), loss, path),
        loss_se=_optional(last.get("loss_se")),
        curve=_curve(rows, names, loss, found["tokens"], found["step"], batch_tokens, path),
        tokens=_optional(last.get("tokens")),
        seconds=_optional(last.get("seconds")),
        device=in_one_line(str(last.get("device") or "")[:200]),
    )


def _rows(path: Path) -> list[Row]:
    if path.is_dir():
        return _rows_of_folder(path)
    suffix = path.suffix.lower()
    if suffix in (".json", ".jsonl", ".ndjson"):
        return list(_json_rows(path))
    if "tfevents" in path.name:
        return _tensorboard(path)
    frame, _ = read_frame(path)
    if twice := sorted({str(name) for name in frame.columns[frame.columns.duplicated()]}):
        raise TableError(f"{path} has a column twice", got=", ".join(twice), cure="leave one of them out")
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _rows_of_folder(path: Path) -> list[Row]:
    """The newest run of W&B in a folder, or the scalars that TensorBoard reads there."""
    for name, read in (("*.wandb", _wandb), ("wandb-summary.json", _json_rows)):
        found = sorted(path.rglob(name), key=lambda file: file.stat().st_mtime)
        if found:
            return list(read(found[-1]))
    if any(path.rglob("*tfevents*")):
        return _tensorboard(path)
    raise TableError(
        f"{path} holds no result",
        expected="a file, or a folder of W&B (*.wandb) or of TensorBoard (*tfevents*)",
        got="a folder without one",
    )


def _json_rows(path: Path) -> Iterator[Row]:
    text = read_file(path, TableError, LARGEST).decode("utf-8", "replace")
    try:
        # One object, or a list of them; what is neither is an object per line.
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = [_line(line, path, number) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if isinstance(value, dict) and isinstance(value.get("log_history"), list):
        value = value["log_history"]
    for row in value if isinstance(value, list) else [value]:
        if not isinstance(row, dict):
            raise TableError(f"{path} is no result", expected="an object, or one per line", got=type(row).__name__)
        yield row


def _line(line: str, path: Path, number: int) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise TableError(f"{path}, line {number}: not JSON", got=str(error)) from None


def _wandb(path: Path) -> Iterator[Row]:
    """What a run of W&B logged, from the file that it keeps itself, offline too.

    That is a log as LevelDB writes it (its document log_format.md) behind a header of 7 bytes: blocks of 32 KiB, with
    records of a checksum of 4 bytes, a length of 2 and a kind of 1 (whole, first, middle, last).
    """
    with needing("reading the file of a run of W&B", "trackers"):
        from wandb.proto.wandb_internal_pb2 import Record
    data, place, whole = read_file(path, TableError, LARGEST), 7, b""
    while place + 7 <= len(data):
        room = 2**15 - place % 2**15
        if room < 7:  # no record begins in so little of a block
            place += room
            continue
        length, kind = int.from_bytes(data[place + 4 : place + 6], "little"), data[place + 6]
        whole += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):
            record = _parsed(Record(), whole, path)
            whole = b""
            if record.WhichOneof("record_type") == "history":
                yield {
                    item.key or "/".join(item.nested_key): _line(item.value_json, path, 1)
                    for item in record.history.item
                }


def _parsed(message: Any, data: bytes, path: Path) -> Any:
    try:
        message.ParseFromString(data)
    except Exception as error:  # of the package protobuf, which a light installation has not
        raise TableError(f"{path} is damaged", got=str(error)) from None
    return message


def _tensorboard(path: Path) -> list[Row]:
    with needing("reading the files of TensorBoard", "trackers"):
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    rows: list[Row] = []
    # Its reader does not look below a folder, where some trainers begin one more with every start.
    inner = {file.parent for file in path.rglob("*tfevents*")} if path.is_dir() else {path}
    for place in sorted(inner, key=lambda one: (one.stat().st_mtime, one)):
        events = EventAccumulator(str(place), size_guidance={"scalars": 0, "tensors": 0})
        try:
            events.Reload()
        except Exception as error:  # of a file that is damaged, whatever it meets there
            raise TableError(f"{place} is damaged", got=str(error)) from None
        for tag in events.Tags()["scalars"]:
            rows += [{"step": event.step, tag: event.value} for event in events.Scalars(tag)]
    return sorted(rows, key=lambda row: row["step"])


def _flat(row: Row) -> Row:
    """A row whose nested objects are columns: {"eval": {"loss": 2}} has `eval/loss`, and `eval.loss` the same."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            for inner, cell in value.items():
                flat[f"{name}/{inner}"] = flat[f"{name}.{inner}"] = cell
        else:
            flat[name] = value
    return flat


def _with_products(row: Row, names: Mapping[str, str]) -> Row:
    """A row with the products that names ask for, as "val/bpb*3.36*0.6931", where it has what they are made of."""
    made = dict(row)
    for text in names.values():
        factors = [_optional(row.get(part, part)) for part in map(str.strip, text.split("*"))]
        if "*" in text and text not in row and None not in factors:
            made[text] = math.prod(factor for factor in factors if factor is not None)
    return made


def _column(rows: Sequence[Row], ours: str, names: Mapping[str, str], path: Path) -> str | None:
    """Their name of a column of ours. Raises TableError where it is named and not there, or two may be the loss."""
    there = {name for row in rows for name, value in row.items() if value is not None}
    if ours in names:
        if names[ours] not in there:
            raise TableError(f"{path} has no {names[ours]!r}", expected=names[ours], got=", ".join(sorted(there)[:20]))
        return names[ours]
    found = [name for name in RESULT_NAMES[ours] if name in there]
    held_out = [name for name in found if name in HELD_OUT]
    if ours == "loss" and len(held_out) > 1:
        raise TableError(
            f"{path} has several losses",
            got=", ".join(held_out),
            cure=f'say which is meant: [trainer] map = {{ loss = "{held_out[0]}" }}',
        )
    return found[0] if found else None


def _last(rows: Sequence[Row], name: str) -> Any:
    return next((row[name] for row in reversed(rows) if row.get(name) is not None), None)


def _number(value: Any, name: str, path: Path) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TableError(f"{path}: {name} is no number", got=repr(value)[:100]) from None


def _optional(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _curve(
    rows: Sequence[Row],
    names: Mapping[str, str],
    loss: str,
    tokens: str | None,
    step: str | None,
    batch_tokens: int,
    path: Path,
) -> tuple[CurvePoint, ...]:
    """The training curve, where a training loss stands beside tokens or steps."""
    train = _column(rows, "train_loss", names, path)
    if train is None or train == loss:
        return ()
    points = []
    for row in rows:
        value, seen = _optional(row.get(train)), _optional(row.get(tokens)) if tokens else None
        if seen is None and step is not None and (at := _optional(row.get(step))) is not None:
            seen = at * batch_tokens
        if value is not None and seen is not None:
            points.append(CurvePoint(seen, value))
    points = points[:: max(1, -(-len(points) // MOST_POINTS))]
    return tuple(points) if len(points) > 1 else ()
