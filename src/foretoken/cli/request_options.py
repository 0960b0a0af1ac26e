"""A verb's options from the fields of its request: name, type, default and help are written once, in the request."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from functools import wraps
from pathlib import Path
from typing import Annotated, TypeVar, get_args

import typer

from foretoken.cli.options import MapOption, WhereOption, given_together, listed

Request = TypeVar("Request")
OptionValue = str | int | float | bool | Path | None
SHOWN = {"Sequence[str]": "NAME,...", "Sequence": "7B,13B,...", "Path": "FILE"}
"""How a value is shown in the help, by the first of these in the field's type."""
OF_TABLES = {"rename": MapOption, "where": WhereOption}
"""Fields that say how a table is read, and the option that every verb of tables has for each."""


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
            given = {name: _read(name, values.pop(name)) for name in fields}
            lists = {name: listed(str(given[name])) for name, field in fields.items() if _is_list(field)}
            verb(request(**given | lists), **values)

        parameters = [*options, *(parameter.replace(kind=first.KEYWORD_ONLY) for parameter in own)]
        vars(called)["__signature__"] = inspect.Signature(parameters)
        called.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return called

    return decorated


def _read(name: str, value: object) -> object:
    """What an option gives its field: --map and --where may be given several times."""
    if name not in OF_TABLES:
        return value
    from foretoken.runs.sources import parse_map

    together = given_together(value if isinstance(value, list) else None)
    return together if name == "where" else parse_map(together) or None


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
    if field.name in OF_TABLES:
        kind, option = get_args(OF_TABLES[field.name])
        option = copy(option)
        option.help, option.rich_help_panel = text, panel
        return inspect.Parameter(field.name, field.KEYWORD_ONLY, default=None, annotation=Annotated[kind, option])
    words = re.findall(r"\w+", str(field.annotation))
    kind = next((kind for word, kind in KINDS.items() if word in words), str)
    metavar = next((shown for word, shown in SHOWN.items() if word in str(field.annotation)), None)
    option = typer.Option(help=text, metavar=metavar, rich_help_panel=panel)
    annotation = Annotated[kind | None, option] if "None" in words else Annotated[kind, option]
    default = "" if _is_list(field) else field.default
    return inspect.Parameter(field.name, field.KEYWORD_ONLY, default=default, annotation=annotation)


KINDS: dict[str, type] = {"Path": Path, "str": str, "int": int, "float": float}
"""The type of an option, by the first of these words in the field's type."""
