"""Tables of scores as papers printed them, from `benchmarks.toml`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from foretoken.compute.accelerators import Verification
from foretoken.compute.models import MODELS
from foretoken.compute.registry import Registry

Better = Literal["higher", "lower"]


@dataclass(frozen=True, kw_only=True)
class Column:
    """What one column measures."""

    task: str
    metric: str
    better: Better = "higher"
    shots: str = ""
    """Examples in the prompt, where the column fixes them."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One model's scores; a score that is not printed is None."""

    name: str
    model: str | None = None
    """An id of the registry of models."""
    setting: str = ""
    """What else sets the row apart: shots, objective, cost."""
    scores: tuple[float | None, ...]


@dataclass(frozen=True, kw_only=True)
class PrintedScore:
    """One score of one model, with params and FLOP of the model where they are known."""

    name: str
    model: str | None
    """An id of the registry of models."""
    params: float | None
    flops: float | None
    task: str
    metric: str
    better: Better
    setting: str
    """Examples in the prompt, objective, cost: what sets it apart from the model's other scores on the task."""
    score: float

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """One printed table."""

    id: str
    title: str
    source: str
    status: Verification
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    careful: tuple[str, ...] = ()

    def scores(self) -> Iterator[PrintedScore]:
        """One score at a time; those that are not printed are left out.

        >>> next(BENCHMARKS["gpt2_zero_shot"].scores()).score
        35.13
        """
        for row in self.rows:
            model = MODELS[row.model] if row.model else None
            for column, score in zip(self.columns, row.scores, strict=True):
                if score is not None:
                    yield PrintedScore(
                        name=row.name,
                        model=row.model,
                        params=model.params if model else None,
                        flops=model.compute if model else None,
                        task=column.task,
                        metric=column.metric,
                        better=column.better,
                        setting=column.shots or row.setting,
                        score=score,
                    )


def _benchmark_from_json(name: str, values_json: dict[str, Any], tables_json: dict[str, Any]) -> Benchmark:
    parts: dict[str, Any] = {
        "columns": tuple(Column(**column) for column in values_json["columns"]),
        "rows": tuple(_row_from_json(row) for row in values_json["rows"]),
        "careful": tuple(values_json.get("careful", ())),
    }
    return Benchmark(id=name, **(values_json | parts))


def _row_from_json(row_json: dict[str, Any]) -> Row:
    named = {"name": MODELS[row_json["model"]].name} if "model" in row_json else {}
    scores = tuple(None if math.isnan(score) else float(score) for score in row_json["scores"])
    return Row(**{**named, **row_json, "scores": scores})


BENCHMARKS: Registry[Benchmark] = Registry("benchmarks.toml", "benchmark", _benchmark_from_json)
"""Printed tables by id."""
