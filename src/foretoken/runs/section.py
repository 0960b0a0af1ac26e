"""What the tables of a study file are made of: quantities with units, names that are known, no unknown keys."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidatorFunctionWrapHandler,
    field_validator,
)

from foretoken.arguments import nearest
from foretoken.errors import ForetokenError, shown
from foretoken.units import parse_count, parse_flops


def mistake(error: ForetokenError) -> ValueError:
    """A refusal as pydantic collects it."""
    got, cure = f", got {error.got}" if error.got else "", f"; {error.cure}" if error.cure else ""
    return ValueError(f"{error.message}{got}{cure}")


def quantity(parse: Callable[[str | float], float]) -> BeforeValidator:
    """Numbers, and texts with a unit, as `parse` reads them."""

    def read(value: str | float) -> float:
        try:
            return float(parse(value))
        except ForetokenError as error:
            raise mistake(error) from error

    return BeforeValidator(read)


def checked(value: object, validate: ValidatorFunctionWrapHandler) -> object:
    """For a dataclass that checks itself: what it refuses is one of the mistakes of the file."""
    try:
        return validate(value)
    except ForetokenError as error:
        raise mistake(error) from error  # pydantic collects a ValueError; any other would hide the mistakes after it


def known_name(names: Collection[str], what: str) -> AfterValidator:
    """Texts that are one of `names`; of others the nearest is shown."""

    def check(value: object) -> object:
        if isinstance(value, str) and value not in names:
            near = nearest(value, names)
            hint = f"; did you mean {near[0]!r}?" if near else ";"
            raise ValueError(f"unknown {what} {shown(value)}{hint} known: {', '.join(sorted(names))}")
        return value

    return AfterValidator(check)


Count = Annotated[float, quantity(parse_count), Field(ge=1e-12, le=1e18)]
Flops = Annotated[float, quantity(parse_flops), Field(ge=1.0, le=1e32)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
Ratio = Annotated[float, Field(ge=1e-9, le=1e9)]
"""Limits that no study meets, so that a slip of the hand is refused rather than computed for hours."""


AS_WRITTEN = {"as_written": True}
"""Says to validators that somebody wrote the values, and no defaults stand among them as in a study's design.json."""


class Section(BaseModel):
    """One table of the study file: unknown keys are mistakes, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="wrap")
    @classmethod
    def _flags_and_numbers_stay_apart(cls, value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
        # pydantic reads true as 1, and 1 or "yes" as true; anywhere below, in a list or a dataclass, too.
        read = validate(value)
        for was, became, place in _leaves(value, read):
            if isinstance(was, bool) != isinstance(became, bool):
                wanted = "true or false" if isinstance(became, bool) else "a number"
                raise ValueError(f"expected {wanted}{place and f'{place}, and not {shown(was)}'}")
        return read


def _leaves(value: Any, read: Any, place: str = "") -> Iterator[tuple[Any, Any, str]]:
    """Each plain value of a table or list, what it was read as, and where it is."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            became = read.get(name, inner) if isinstance(read, Mapping) else getattr(read, str(name), inner)
            yield from _leaves(inner, became, f" for `{name}`")
    elif isinstance(value, list) and isinstance(read, list):
        for inner, became in zip(value, read, strict=True):
            yield from _leaves(inner, became, place)
    else:
        yield value, read, place


def is_encoding(name: str) -> bool:
    """Whether Python knows an encoding of text by this name.

    >>> is_encoding("gb18030"), is_encoding("base64")
    (True, False)
    """
    try:
        "".encode(name)
    except (LookupError, ValueError):  # unknown, or no encoding of text; a name with a NUL character
        return False
    return True
