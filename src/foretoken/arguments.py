"""Arguments of public functions: names that are refused with the nearest right one, and probabilities."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import wraps
from typing import ParamSpec, TypeVar

from foretoken.errors import ForetokenError

P = ParamSpec("P")
R = TypeVar("R")


class ArgumentNameError(ForetokenError, TypeError):
    """A function was called with an argument that it does not have."""


def nearest(name: str, known: Iterable[str], most: int = 1) -> list[str]:
    """The known names that are spelled most like `name`, the nearest first; none where nothing is alike.

    >>> nearest("laww", ["law", "level", "params"])
    ['law']
    """
    return get_close_matches(name[:100], list(known), n=most, cutoff=0.5)


def named_arguments(function: Callable[P, R]) -> Callable[P, R]:
    """Refuse keyword arguments that a public function does not have, and name the nearest that it has.

    Raises ArgumentNameError, which is a TypeError too.

    >>> @named_arguments
    ... def half(value: float = 1.0) -> float:
    ...     return value / 2
    >>> half(vlaue=3.0)
    Traceback (most recent call last):
        ...
    foretoken.arguments.ArgumentNameError: half() has no argument 'vlaue'
      expected: value
      cure: did you mean 'value'?
    """
    known = [name for name, one in inspect.signature(function).parameters.items() if one.kind != one.VAR_KEYWORD]

    @wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        for name in kwargs:
            if name not in known:
                near = nearest(name, known)
                raise ArgumentNameError(
                    f"{function.__name__}() has no argument {name!r}",
                    expected=", ".join(known),
                    cure=f"did you mean {near[0]!r}?" if near else None,
                )
        return function(*args, **kwargs)

    return checked


def check_level(level: float) -> None:
    """Raise ForetokenError unless `level` is a probability strictly between 0 and 1.

    >>> check_level(0.9)
    """
    if not 0 < level < 1:
        raise ForetokenError("a level is a probability", expected="above 0 and below 1", got=str(level))
