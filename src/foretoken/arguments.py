"""Arguments of public functions: names that are refused with the nearest right one, and probabilities."""

from __future__ import annotations

import builtins
import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import wraps
from importlib import import_module
from itertools import islice
from numbers import Integral, Real
from pathlib import Path
from typing import ParamSpec, TypeVar

from foretoken.errors import ForetokenError, shown

P = ParamSpec("P")
Q = TypeVar("Q")
R = TypeVar("R")

MOST_FILES = 1000
"""Names of a folder that are compared with a wrong one."""


class ArgumentNameError(ForetokenError, TypeError):
    """A function was called with an argument that it does not have."""


class ArgumentTypeError(ForetokenError, TypeError):
    """An argument of a function is of no kind that it takes."""


def nearest(name: str, known: Iterable[str], most: int = 1) -> list[str]:
    """The known names that are spelled most like `name`, the nearest first; none where nothing is alike.

    >>> nearest("laww", ["law", "level", "params"])
    ['law']
    """
    return get_close_matches(name[:100], list(known), n=most, cutoff=0.5)


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """The cure for a wrong name: the nearest right one, or None where nothing is alike.

    >>> did_you_mean("meen", ["new-run", "mean"])
    "did you mean 'mean'?"
    """
    near = nearest(name, known)
    return f"did you mean {near[0]!r}?" if near else None


def did_you_mean_file(path: Path, also: Iterable[str] = ()) -> str | None:
    """The cure for a file that is not there: one of the same folder, or of the names in `also`; None as above.

    >>> did_you_mean_file(Path("nowhere") / "quickstrt", also=["quickstart"])
    "did you mean 'quickstart'?"
    """
    beside = islice(path.parent.iterdir(), MOST_FILES) if path.parent.is_dir() else ()
    return did_you_mean(path.name, [*also, *(file.name for file in beside if file.name != path.name)])


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
    signature = inspect.signature(function)
    names = {**vars(import_module(function.__module__)), **vars(builtins)}

    @wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        _refuse_unknown(function.__name__, kwargs, list(signature.parameters))
        _refuse_types(function.__name__, signature.bind(*args, **kwargs), names)
        return function(*args, **kwargs)

    return checked


def takes(request: Callable[P, Q]) -> Callable[[Callable[[Q], R]], Callable[P, R]]:
    """Let a function of one request take the request's fields as its own arguments, which stay documented in one place.

    Type checkers, `inspect.signature` and `help` see the arguments of the request's class, and the `Args:` of its
    docstring, where it has them; a wrong name is refused with the nearest right one.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class AreaRequest:
    ...     width: float
    ...     height: float = 1.0
    >>> @takes(AreaRequest)
    ... def area(request: AreaRequest) -> float:
    ...     return request.width * request.height
    >>> area(3.0, height=2.0), str(inspect.signature(area))
    (6.0, "(width: 'float', height: 'float' = 1.0) -> 'float'")
    """
    signature = inspect.signature(request)
    names = {**vars(import_module(request.__module__)), **vars(builtins)}

    def decorated(function: Callable[[Q], R]) -> Callable[P, R]:
        @wraps(function)
        def called(*args: P.args, **kwargs: P.kwargs) -> R:
            _refuse_unknown(function.__name__, kwargs, list(signature.parameters))
            _refuse_types(function.__name__, signature.bind(*args, **kwargs), names)
            return function(request(*args, **kwargs))

        result = inspect.signature(function).return_annotation
        vars(called)["__signature__"] = signature.replace(return_annotation=result)
        _, heading, documented = (inspect.getdoc(request) or "").partition("\nArgs:\n")
        if heading:
            called.__doc__ = f"{inspect.getdoc(function) or ''}\n{heading}{documented}"
        return called

    return decorated


def _refuse_unknown(function: str, given: Iterable[str], known: list[str]) -> None:
    for name in given:
        if name not in known:
            raise ArgumentNameError(
                f"{function}() has no argument {name!r}", expected=", ".join(known), cure=did_you_mean(name, known)
            )


NUMBERS: dict[type, type] = {int: Integral, float: Real}
"""What passes for a number of a type: numpy's, too."""
WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "True or False", type(None): "None"}


def _refuse_types(function: str, given: inspect.BoundArguments, names: Mapping[str, object]) -> None:
    """Raise ArgumentTypeError for the first argument that is of no type of its annotation.

    An annotation that is no class, or a choice of classes, as `names` has them, allows anything.
    """
    for name, value in given.arguments.items():
        parameter = given.signature.parameters[name]
        if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
            continue
        annotation = parameter.annotation
        kinds = [
            names.get(part.strip()) if part.strip() != "None" else type(None) for part in str(annotation).split("|")
        ]
        types = [kind for kind in kinds if isinstance(kind, type) and not getattr(kind, "_is_protocol", False)]
        is_flag = isinstance(value, bool) and bool not in types
        if len(types) == len(kinds) and (is_flag or not isinstance(value, tuple(NUMBERS.get(t, t) for t in types))):
            expected = " or ".join(WORDS.get(kind, f"a {kind.__name__}") for kind in types)
            raise ArgumentTypeError(f"{function}: {name} is of another kind", expected=expected, got=shown(value))
        if name == "seed" and isinstance(value, Integral) and value < 0:
            raise ForetokenError(f"{function}: seed must not be negative", expected="0 or more", got=repr(value))


def check_level(level: float) -> None:
    """Raise ForetokenError unless `level` is a probability strictly between 0 and 1.

    >>> check_level(0.9)
    """
    if isinstance(level, bool) or not isinstance(level, Real) or not 0 < level < 1:
        raise ForetokenError("a level is a probability", expected="a number between 0 and 1", got=repr(level))


def check_positive(name: str, value: float) -> None:
    """Raise ForetokenError unless `value` is a finite number above 0.

    >>> check_positive("compute", 1e21)
    """
    if not (math.isfinite(value) and value > 0):
        raise ForetokenError(f"{name} must be a finite number above 0", got=repr(value))
