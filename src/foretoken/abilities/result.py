"""Scores: what was found of each curve of a table, and of the table."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from foretoken.abilities.axes import Axis, CurveName
from foretoken.abilities.emergence import HeldOut
from foretoken.abilities.level import Level
from foretoken.abilities.pairs import NO_ITEMS, MetricPair
from foretoken.abilities.shapes import Family
from foretoken.abilities.shots import ShotGain
from foretoken.abilities.verdict import Verdict
from foretoken.fits.check import Check, plural
from foretoken.results import Result, with_reasons_json

NO_LINE = "the line through all scores does not reach the level"
"""Why a line says no size of a level."""


@dataclass(frozen=True)
class Point:
    """One score that was measured."""

    size: float
    score: float
    n: float | None


@dataclass(frozen=True)
class BandPoint:
    """What one new measurement at a size would give."""

    size: float
    mean: float
    low: float
    high: float
    beyond: bool
    """Whether it lies beyond the largest size."""


@dataclass(frozen=True, kw_only=True)
class CurveVerdict:
    """What was found of one curve."""

    group: str
    task: str
    metric: str
    shots: str
    sizes: int
    """How many different sizes it has."""
    verdict: Verdict
    shape: Family | None
    """The family with the most weight."""
    evidence: str
    emergence_score: float | None
    linearity: float | None
    level: Level | None
    level_reason: str | None
    shares: dict[Verdict, float]
    """The share of the weighed curves that have each verdict."""
    weights: dict[Family, float]
    held_out: HeldOut | None
    points: list[Point]
    band: list[BandPoint]
    better: str
    unit: str
    chance: float | None
    ceiling: float | None
    human: float | None

    @property
    def name(self) -> CurveName:
        """What names it."""
        return CurveName(self.group, self.task, self.metric, self.shots)

    def to_json(self) -> dict[str, Any]:
        """Plain values; beside every null stands its reason."""
        values = asdict(self)
        values["points"] = [with_reasons_json(point, n=NO_ITEMS) for point in values["points"]]
        if self.level is not None:
            ends = dict.fromkeys(("high", "size_high"), self.level_reason)
            values["level"] = with_reasons_json(values["level"], **ends, line_factor=NO_LINE)
        few = f"{plural(self.sizes, 'size')}: no shape can be told"
        return with_reasons_json(
            values,
            **{bar: f"not in the table, and not known of the task: --{bar}" for bar in ("chance", "ceiling", "human")},
            shape=few,
            held_out=f"{plural(self.sizes, 'size')}: too few are left without the largest third",
            emergence_score="half of the steps between sizes are 0",
            linearity="all steps between sizes are 0",
        )


@dataclass(frozen=True, kw_only=True)
class Scores(Result, rows="curves"):
    """What was found of every curve of a table of scores."""

    curves: list[CurveVerdict]
    pairs: list[MetricPair]
    """Sharp and smooth metrics of one task, side by side."""
    shots: list[ShotGain]
    against: Axis
    level_of: str
    """The level that is looked for."""
    interval_level: float
    """The probability that an interval holds."""
    checks: list[Check]
    assumed: list[str]
    source: str = ""

    def counts(self) -> dict[Verdict, int]:
        """How many curves have each verdict, the commonest first."""
        found = [curve.verdict for curve in self.curves]
        return {name: found.count(name) for name in sorted(set(found), key=found.count, reverse=True)}

    def to_json(self) -> dict[str, Any]:
        """Plain values; beside every null stands its reason."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return values | {
            "curves": [curve.to_json() for curve in self.curves],
            "pairs": [pair.to_json() for pair in self.pairs],
            "shots": [asdict(gain) for gain in self.shots],
            "checks": [asdict(check) for check in self.checks],
        }
