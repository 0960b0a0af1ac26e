"""A verb's options from the fields of its request: name, type, default and help are written once, in the request."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from foretoken.cli.options import listed

Request = TypeVar("Request")
OptionValue = str | int | float | bool | Path | None
SHOWN = {"Sequence": "7B,13B,...", "Path": "FILE"}
"""How a value is shown in the help, by a word of the field's type."""


def takes_options(
    request: Callable[..., Request], panels: Mapping[str, Sequence[str]] | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a verb of one request an option for each of the request's fields, before the verb's own options.

    The help of an option is the field's entry under `Args:` in the docstring of the request; it stands under the
    heading of `panels` that lists the field.
    """
    headings = {name: heading for heading, names in (panels or {}).items() for name in names}

    def decorated(verb: Callable[..., None]) -> Callable[..., None]:
        first, *own = inspect.signature(verb, eval_str=True).parameters.values()
        fields = inspect.signature(request).parameters
        helps = argument_helps(inspect.getdoc(request) or "")
        options = [_option(field, helps[name], headings.get(name)) for name, field in fields.items()]

        @wraps(verb)
        def called(**values: OptionValue) -> None:
            given = {name: values.pop(name) for name in fields}
            lists = {name: listed(str(given[name])) for name, field in fields.items() if _is_list(field)}
            verb(request(**given | lists), **values)

        parameters = [*options, *(parameter.replace(kind=first.KEYWORD_ONLY) for parameter in own)]
        vars(called)["__signature__"] = inspect.Signature(parameters)
        called.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return called

    return decorated


def argument_helps(docstring: str) -> dict[str, str]:
    r"""What the `Args:` of a docstring say of each argument.

    >>> argument_helps("A sum.\n\nArgs:\n    one: The first,\n        a number.\n    two: The second.\n")
    {'one': 'The first, a number.', 'two': 'The second.'}
    """
    _, _, entries = docstring.partition("\nArgs:\n")
    found = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", entries, flags=re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in found}


def _is_list(field: inspect.Parameter) -> bool:
    return str(field.annotation).startswith("Sequence")


def _option(field: inspect.Parameter, text: str, panel: str | None) -> inspect.Parameter:
    """The option of a field; an amount that may be a text with a unit is a text here."""
    words = re.findall(r"\w+", str(field.annotation))
    kind = next((kind for word, kind in KINDS.items() if word in words), str)
    metavar = next((shown for word, shown in SHOWN.items() if word in words), None)
    option = typer.Option(help=text, metavar=metavar, rich_help_panel=panel)
    annotation = Annotated[kind | None, option] if "None" in words else Annotated[kind, option]
    default = "" if _is_list(field) else field.default
    return inspect.Parameter(field.name, field.KEYWORD_ONLY, default=default, annotation=annotation)


KINDS: dict[str, type] = {"Path": Path, "str": str, "int": int, "float": float}
"""The type of an option, by the first of these words in the field's type."""
