"""A command with fields, as `python train.py --dim {width} --steps {tokens // batch_tokens}`: no shell ever reads it.

It is split into words as a shell would split it, before its fields are filled in: so a value is never more than it is,
whatever blanks and quotes are in it. A field is a name, or arithmetic with names, and may have a format as in Python.
"""

from __future__ import annotations

import ast
import math
import operator
import re
import shlex
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from foretoken.arguments import did_you_mean

Value = int | float | str
LONGEST = 20_000
"""Characters of a command."""
LONGEST_FIELD = 200
OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: math.pow,
    ast.USub: operator.neg,
}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": abs,
    "ceil": math.ceil,
    "floor": math.floor,
    "int": int,
    "log2": math.log2,
    "max": max,
    "min": min,
    "round": round,
    "sqrt": math.sqrt,
}
FORMAT = re.compile(r"[^{}\d]{0,3}\d{0,2}[,_]?(\.\d{1,2})?[a-zA-Z%]?")
"""Formats that are taken: of a bounded width."""


@dataclass(frozen=True)
class Field:
    """What stands between braces: arithmetic with names, and how its value is written."""

    text: str
    tree: ast.expr
    format: str

    @property
    def names(self) -> set[str]:
        """The fields that it is computed from."""
        called = {id(node.func) for node in ast.walk(self.tree) if isinstance(node, ast.Call)}
        return {node.id for node in ast.walk(self.tree) if isinstance(node, ast.Name) and id(node) not in called}

    def fill(self, values: Mapping[str, Value]) -> str:
        """Its value as text. Raises ValueError where it has none."""
        try:
            return format(_value(self.tree, values), self.format)
        except (ArithmeticError, TypeError, ValueError) as error:
            raise ValueError(f"{{{self.text}}} has no value: {error}") from None


Word = Sequence[str | Field]
"""One word of a command: texts and fields, to be written one after another."""


def words(command: str) -> list[Word]:
    """The words of a command. Raises ValueError for one that cannot be read.

    >>> [len(word) for word in words("train --lr={learning_rate}")]
    [1, 2]
    """
    if "\0" in command or len(command) > LONGEST:
        raise ValueError(f"a command has at most {LONGEST} characters, and no NUL among them")
    fields: list[Field] = []
    marked = ""
    for literal, text, written, conversion in string.Formatter().parse(command):
        marked += literal
        if text is not None:
            if conversion:
                raise ValueError(f"{{{text}!{conversion}}}: a field takes a format (`:.2e`), no conversion")
            fields.append(_field(text, written or ""))
            marked += f"\0{len(fields) - 1}\0"
    # A field is one mark while the words are split, so that blanks and quotes in it split nothing.
    return [_filled(word.split("\0"), fields) for word in shlex.split(marked)]


def names(command: str) -> set[str]:
    """The fields that a command uses. Raises ValueError for one that cannot be read.

    >>> sorted(names("train --steps {tokens // batch_tokens} --out {folder}"))
    ['batch_tokens', 'folder', 'tokens']
    """
    return {name for word in words(command) for part in word if isinstance(part, Field) for name in part.names}


def fill(command: str, values: Mapping[str, Value], whole: Mapping[str, Sequence[str]] | None = None) -> list[str]:
    """The words of a command with its fields filled in; those of `whole` are each a word, or none, or several.

    Raises ValueError for a field that has no value.

    >>> fill("train --lr {learning_rate:.0e} --name 'run {seed}'", {"learning_rate": 0.003, "seed": 1})
    ['train', '--lr', '3e-03', '--name', 'run 1']
    """
    filled: list[str] = []
    for word in words(command):
        alone = word[0].text.strip() if len(word) == 1 and isinstance(word[0], Field) else ""
        if whole and alone in whole:
            filled += whole[alone]
        else:
            filled.append("".join(part if isinstance(part, str) else part.fill(values) for part in word))
    return filled


def check_names(command: str, known: Sequence[str], key: str = "command") -> None:
    """Raise ValueError for a command that cannot be read, is empty, or uses a field that is not `known`."""
    try:
        unknown = sorted(names(command) - set(known))
        empty = not words(command)
    except ValueError as error:
        raise ValueError(f"`{key}` cannot be read: {error}") from None
    if empty:
        raise ValueError(f"`{key}` is empty")
    if unknown:
        near = did_you_mean(unknown[0], known)
        told = f"{near}; " if near else ""
        raise ValueError(f"`{key}` has an unknown field {{{unknown[0]}}}; {told}known: {', '.join(sorted(known))}")


def _field(text: str, written: str) -> Field:
    if len(text) > LONGEST_FIELD:
        raise ValueError(f"a field has at most {LONGEST_FIELD} characters")
    if not FORMAT.fullmatch(written):
        raise ValueError(f"{{{text}:{written}}}: no format that is known here, as :.2e, :,d or :08d")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, RecursionError, MemoryError):
        raise ValueError(f"{{{text}}} is no field and no arithmetic; a brace itself is written twice") from None
    for node in ast.walk(tree):
        _require_arithmetic(node, text)
    return Field(text, tree, written)


def _require_arithmetic(node: ast.AST, text: str) -> None:
    if isinstance(node, ast.Call):
        plain = isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS and not node.keywords
    elif isinstance(node, ast.Constant):
        plain = isinstance(node.value, int | float) and abs(node.value) < 1e30
    else:
        plain = isinstance(node, ast.BinOp | ast.UnaryOp | ast.Name | ast.Load) or type(node) in OPERATORS
    if not plain:
        raise ValueError(f"{{{text}}}: a field takes numbers, names, + - * / // % ** and {', '.join(FUNCTIONS)}")


def _filled(parts: list[str], fields: Sequence[Field]) -> Word:
    """A word of which every other part is the number of a field."""
    texts = [fields[int(part)] if place % 2 else part for place, part in enumerate(parts)]
    return [part for part in texts if part != ""] or [""]


def _value(node: ast.expr, values: Mapping[str, Value]) -> Any:
    match node:
        case ast.Constant():
            return node.value
        case ast.Name():
            if node.id not in values:
                raise ValueError(f"{node.id} is not known of this run")
            return values[node.id]
        case ast.BinOp():
            return OPERATORS[type(node.op)](*(_number(_value(side, values)) for side in (node.left, node.right)))
        case ast.UnaryOp():
            return OPERATORS[type(node.op)](_number(_value(node.operand, values)))
        case ast.Call(func=ast.Name(id=name)):
            return FUNCTIONS[name](*(_number(_value(argument, values)) for argument in node.args))
    raise ValueError("no arithmetic")


def _number(value: Value) -> int | float:
    if isinstance(value, str):
        raise ValueError(f"{value!r} is text, and no number to compute with")
    return value
