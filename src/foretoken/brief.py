"""A short `repr` for results that hold thousands of numbers: every field on a line, long values cut."""

from __future__ import annotations

import reprlib
from dataclasses import fields
from typing import Any, TypeVar

Result = TypeVar("Result", bound=type[Any])
MOST_LINES, WIDEST = 18, 140
"""Lines of a repr, beside its first and last, and characters of each."""


class _Short(reprlib.Repr):
    """Numbers with six digits, as a person reads them; a frame by its size."""

    def repr_float(self, value: float, level: int) -> str:
        return f"{value:.6g}"

    def repr_DataFrame(self, value: Any, level: int) -> str:
        return f"<{len(value)} rows of {', '.join(map(str, value.columns))}>"


_REPR = _Short()
_REPR.maxlist = _REPR.maxtuple = _REPR.maxarray = 2
_REPR.maxdict, _REPR.maxlevel, _REPR.maxstring, _REPR.maxother, _REPR.maxlong = 8, 3, 80, 80, 30


def brief(cls: Result) -> Result:
    """Give a dataclass a repr of at most 20 lines; equality, fields and JSON stay as they are.

    >>> from dataclasses import dataclass
    >>> @brief
    ... @dataclass(frozen=True)
    ... class Curve:
    ...     name: str
    ...     losses: list[float]
    >>> Curve("a", [3.0] * 1000)
    Curve(
      name='a',
      losses=[3, 3, ...] (1000),
    )
    """

    def short(self: Any) -> str:
        shown = [f"  {field.name}={_value(getattr(self, field.name))}," for field in fields(self) if field.repr]
        more = [f"  ... ({len(shown) - MOST_LINES + 1} more fields)"] if len(shown) > MOST_LINES else []
        lines = [*shown[: MOST_LINES - len(more)], *more] if more else shown
        return "\n".join([f"{type(self).__name__}(", *lines, ")"])

    setattr(cls, "__repr__", short)  # noqa: B010 (mypy takes a method of another signature for a mistake)
    return cls


def _value(value: object) -> str:
    text = " ".join(_REPR.repr(value).split())
    text = text if len(text) <= WIDEST else f"{text[: WIDEST - 3]}..."
    cut = isinstance(value, list | tuple | dict) and "..." in text
    return f"{text} ({len(value)})" if cut and isinstance(value, list | tuple | dict) else text
