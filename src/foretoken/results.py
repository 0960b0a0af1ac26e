"""What every result does in Python: a short repr, the text of the command line, a frame, and the top of its page."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import pandas as pd

SHOWN_BY = {
    "summary": ("foretoken.cli.summary", "summary_of"),
    "html": ("foretoken.reports.first_screen", "first_screen"),
    "plot": ("foretoken.reports.plots", "plot_of_fit"),
    "forecast": ("foretoken.reports.plots", "plot_of_forecast"),
}
"""Who shows a result, by how: found when it is asked for, since results know nothing of what shows them."""


class Result:
    """A result of a public function; a dataclass that has this as its base shows itself.

    `rows` names the field whose entries are the rows of its frame; unless it is given, the result is one row.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Size(Result):
    ...     params: float
    >>> @dataclass(frozen=True)
    ... class Sizes(Result, rows="sizes"):
    ...     sizes: list[Size]
    >>> Sizes([Size(1e6), Size(2e6)]).to_frame()["params"].tolist()
    [1000000.0, 2000000.0]
    """

    _row_field: ClassVar[str] = ""

    def __init_subclass__(cls, rows: str = "") -> None:
        super().__init_subclass__()
        brief(cls)
        cls._row_field = rows or cls._row_field

    def summary(self) -> str:
        """The text that the command line prints for it."""
        return str(shown("summary", self))

    def to_frame(self) -> pd.DataFrame:
        """One row for each of its parts, or one for all of it; a field of a field has a dotted name."""
        import pandas as pd

        return pd.DataFrame([dict(_cells(row)) for row in self._rows()])

    def _rows(self) -> Iterable[object]:
        """What the rows of the frame are made of: dataclasses or mappings."""
        part = getattr(self, self._row_field) if self._row_field else [self]
        return part.values() if isinstance(part, Mapping) else list(part)

    def _repr_html_(self) -> str:
        """The first screen of its page, as notebooks show it."""
        return str(shown("html", self))


def with_reasons_json(values_json: dict[str, Any], **reasons: str | None) -> dict[str, Any]:
    """The values with NAME_reason beside each null that a reason is given for.

    >>> with_reasons_json({"usd": None, "kwh": 3.0}, usd="no price", kwh="no power")
    {'usd': None, 'kwh': 3.0, 'usd_reason': 'no price'}
    """
    missing = {f"{name}_reason": reason for name, reason in reasons.items() if values_json[name] is None}
    return {**values_json, **missing}


def shown(how: str, *given: object) -> Any:
    """What a way of `SHOWN_BY` makes of a result."""
    module, name = SHOWN_BY[how]
    return getattr(import_module(module), name)(*given)


def _cells(row: object, before: str = "") -> Iterator[tuple[str, object]]:
    """The cells of a row by the name of their column; lists of records are tables of their own, and left out."""
    for name, value in _fields(row):
        column = f"{before}{name}"
        if isinstance(value, list | tuple) and not hasattr(value, "_asdict"):
            if name == "checks":
                yield column, ", ".join(check.code for check in value)
            elif value and all(entry is None or isinstance(entry, str | int | float) for entry in value):
                yield column, value
        elif isinstance(value, Mapping) or _fields(value):
            yield from _cells(value, f"{column}.")
        else:
            yield column, value


def _fields(value: object) -> Sequence[tuple[str, object]]:
    """The fields of a record, by name; none of anything else."""
    if isinstance(value, Mapping):
        return [(str(name), entry) for name, entry in value.items()]
    if is_dataclass(value):
        return [(field.name, getattr(value, field.name)) for field in fields(value)]
    return list(value._asdict().items()) if isinstance(value, tuple) and hasattr(value, "_asdict") else []


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


def brief(cls: type) -> None:
    """Give a dataclass a repr of at most 20 lines; equality, fields and JSON stay as they are.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True, repr=False)
    ... class Curve:
    ...     name: str
    ...     losses: list[float]
    >>> brief(Curve)
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


def _value(value: object) -> str:
    text = " ".join(_REPR.repr(value).split())
    text = text if len(text) <= WIDEST else f"{text[: WIDEST - 3]}..."
    cut = isinstance(value, list | tuple | dict) and "..." in text
    return f"{text} ({len(value)})" if cut and isinstance(value, list | tuple | dict) else text
