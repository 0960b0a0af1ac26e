"""One curve of a score table on the scale of its fit: 0 at the smallest size, 1 at the largest, and more is better."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from foretoken.abilities.axes import Axis, CurveName
from foretoken.abilities.bounds import MOST_ITEMS
from foretoken.abilities.likelihoods import Likelihood, Proportions, Unbounded
from foretoken.abilities.verdict import SMALLEST
from foretoken.laws.law import Array

if TYPE_CHECKING:
    import pandas as pd

FARTHEST = 1e6
"""Times the largest size beyond which nothing is said."""


@dataclass(frozen=True)
class Curve:
    """The scores of one task by one metric, from the smallest to the largest model."""

    name: CurveName
    axis: Axis
    x: Array
    """Sizes, tokens, FLOP or losses [n]; losses fall."""
    score: Array
    """Fractions, or as they stand where there are no bounds [n]."""
    n: Array | None
    """Items behind each score, where they are known [n]."""
    better: str
    unit: str
    chance: float | None
    ceiling: float | None
    human: float | None

    @classmethod
    def of(cls, name: CurveName, rows: pd.DataFrame, axis: Axis) -> Curve:
        """The rows of one curve of a ScoreTable."""
        rows = rows.sort_values(axis, ascending=axis != "loss", kind="stable")
        first = rows.iloc[0]
        score = rows["score"].to_numpy(dtype=np.float64)
        bounded = first["unit"] != "raw"
        return cls(
            name=name,
            axis=axis,
            x=rows[axis].to_numpy(dtype=np.float64),
            score=score,
            n=_items(rows, score) if bounded else None,
            better=str(first["better"]),
            unit=str(first["unit"]),
            chance=_known(first["chance"]),
            ceiling=_known(first["ceiling"]),
            human=_known(first["human"]),
        )

    @property
    def is_bounded(self) -> bool:
        """Whether the score is a proportion."""
        return self.unit != "raw"

    @property
    def sizes(self) -> int:
        """Different sizes."""
        return len(np.unique(self.x))

    @property
    def largest(self) -> float:
        """The largest size; the lowest loss."""
        return float(self.x[-1])

    @cached_property
    def place(self) -> Array:
        """Where each size stands between the smallest, 0, and the largest, 1: in the log, but for losses [n]."""
        z = self._z(self.x)
        return np.asarray((z - z[0]) / (z[-1] - z[0]))

    def size_at(self, place: Array) -> Array:
        """The size at a place."""
        z = self._z(self.x)
        at = z[0] + place * (z[-1] - z[0])
        return np.asarray(-at if self.axis == "loss" else np.exp(np.minimum(at, 700.0)))

    def place_of(self, factor: float) -> float:
        """The place of `factor` times the largest size; of a loss, that much lower."""
        z = self._z(self.x)
        step = np.log(factor) if self.axis != "loss" else self.x[-1] * (1.0 - 1.0 / factor)
        return float(1.0 + step / (z[-1] - z[0]))

    def _z(self, x: Array) -> Array:
        return -x if self.axis == "loss" else np.log(x)

    @cached_property
    def _scale(self) -> tuple[bool, float, float]:
        """Of a score without bounds: whether its log is taken, and the worst and the best it has."""
        is_log = bool((self.score > 0).all())
        z = self._raw(self.score, is_log)
        low, high = float(z.min()), float(z.max())
        return is_log, low, high if high > low else low + 1.0

    def _raw(self, score: Array, is_log: bool) -> Array:
        sign = 1.0 if self.better == "up" else -1.0
        return sign * (np.log(np.maximum(score, 1e-300)) if is_log else score)

    def good(self, score: Array) -> Array:
        """Scores on the scale of the fit, on which more is better."""
        if self.is_bounded:
            return score if self.better == "up" else 1.0 - score
        is_log, low, high = self._scale
        return (self._raw(score, is_log) - low) / (high - low)

    @property
    def means(self) -> Array:
        """Scores on the scale of the fit by size, those of one size averaged [sizes]."""
        _, place = np.unique(self._z(self.x), return_inverse=True)
        return np.asarray(np.bincount(place, self.good(self.score)) / np.bincount(place))

    def score_of(self, good: Array) -> Array:
        """Scores as the table has them, from the scale of the fit, within their bounds."""
        top = self.ceiling
        if self.is_bounded:
            score = np.clip(good if self.better == "up" else 1.0 - good, 0.0, 1.0)
        else:
            is_log, low, high = self._scale
            z = (low + good * (high - low)) * (1.0 if self.better == "up" else -1.0)
            score = np.exp(np.clip(z, -700.0, 700.0)) if is_log else z
        if top is None:
            return score
        return np.minimum(score, top) if self.better == "up" else np.maximum(score, top)

    @property
    def smallest_change(self) -> float:
        """A change on the scale of the fit below which there is none: one point, or one per cent."""
        if self.is_bounded:
            return SMALLEST
        is_log, low, high = self._scale
        size = 1.0 if is_log else max(float(np.abs(self.score).max()), 1e-300)
        return SMALLEST * size / (high - low)

    def likelihood(self, keep: Array | None = None) -> Likelihood:
        """How the scores scatter; of those of `keep` alone, or of all."""
        keep = np.ones(len(self.x), dtype=bool) if keep is None else keep
        good = self.good(self.score)[keep]
        if not self.is_bounded:
            return Unbounded.of(good)
        return Proportions.of(good, None if self.n is None else self.n[keep])


def _known(cell: object) -> float | None:
    value = float(cell)  # type: ignore[arg-type]
    return value if np.isfinite(value) else None


def _items(rows: pd.DataFrame, score: Array) -> Array | None:
    """Items [n]: as they are given, or those that the standard errors are worth; None where neither is there."""
    n = rows["n"].to_numpy(dtype=np.float64)
    if np.isfinite(n).all() and (n > 0).all():
        return n
    error = rows["score_se"].to_numpy(dtype=np.float64)
    if np.isfinite(error).all() and (error > 0).all():
        level = np.clip(score, 0.02, 0.98)
        return np.asarray(np.clip(level * (1.0 - level) / np.maximum(error, 1e-6) ** 2, 2.0, MOST_ITEMS))
    return None
