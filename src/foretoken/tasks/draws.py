"""Random choices that are the same in every process and with every version of Python."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")


class Draws:
    """Choices that a text seeds.

    Of Python's generator only `random()` is promised to stay as it is, so all others are made of it here.

    >>> Draws("a seed").below(10) == Draws("a seed").below(10)
    True
    """

    def __init__(self, seed: str) -> None:
        self._random = Random(seed).random

    def below(self, limit: int) -> int:
        """A whole number from 0 to `limit` - 1."""
        if limit <= 2**32:
            return int(self._random() * limit)
        # A float has 53 random bits: of a larger number the parts are drawn one by one, with bits to spare.
        number = 0
        for _ in range(limit.bit_length() // 32 + 3):
            number = number << 32 | int(self._random() * 2**32)
        return number % limit

    def share(self) -> float:
        """A number from 0 to 1."""
        return self._random()

    def pick(self, values: Sequence[T]) -> T:
        """One of the values."""
        return values[self.below(len(values))]

    def shuffled(self, values: Sequence[T], most: int | None = None) -> list[T]:
        """The values, or so many of them, in random order (Fisher and Yates)."""
        rest = list(values)
        chosen = len(rest) if most is None else min(most, len(rest))
        for place in range(chosen):
            other = place + self.below(len(rest) - place)
            rest[place], rest[other] = rest[other], rest[place]
        return rest[:chosen]
