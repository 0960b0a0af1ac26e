"""What names a curve of scores, and what it is drawn against."""

from __future__ import annotations

import zlib
from dataclasses import astuple, dataclass
from typing import Literal, get_args

Axis = Literal["params", "tokens", "flops", "loss"]
"""What the scores are drawn against."""
AXES: tuple[Axis, ...] = get_args(Axis)
KEY = ("group", "task", "metric", "shots")
"""Columns that name a curve."""


@dataclass(frozen=True)
class CurveName:
    """What names a curve of a score table."""

    group: str
    task: str
    metric: str
    shots: str

    def __str__(self) -> str:
        """In words.

        >>> str(CurveName("", "winogrande", "acc", "few"))
        'winogrande, acc, few-shot'
        """
        shots = self.shots if not self.shots or "shot" in self.shots.lower() else f"{self.shots}-shot"
        return ", ".join(word for word in (self.group, self.task, self.metric, shots) if word)

    @property
    def number(self) -> int:
        """A number for the seed of its draws: of the name alone, so that no other curve of a table changes it."""
        return zlib.crc32(repr(astuple(self)).encode())
