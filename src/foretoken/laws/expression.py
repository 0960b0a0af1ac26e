"""Arithmetic as text: read into a tree of a few known kinds of nodes, and computed on numbers, arrays and Duals.

Nothing of Python runs but the operations below: a name is looked up among the values that are given, and a text that is
long, deep or anything else is refused.
"""

from __future__ import annotations

import ast
import operator
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np

from foretoken.arguments import did_you_mean
from foretoken.errors import ForetokenError
from foretoken.laws.dual import exp, log
from foretoken.laws.law import Real

Expression: TypeAlias = ast.expr
LONGEST, DEEPEST = 500, 40
"""Characters of a text, and operations inside one another."""
OPERATIONS: dict[type[ast.operator], Callable[[Real, Real], Real]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
FUNCTIONS: dict[str, tuple[int, Callable[..., Real]]] = {
    "exp": (1, exp),
    "log": (1, log),
    "sqrt": (1, lambda x: x**0.5),
    "pow": (2, operator.pow),
}
"""Functions by name, with how many arguments they take."""


def parsed(text: str) -> Expression:
    """The tree of a text, of one line or several. Raises ForetokenError for anything but arithmetic.

    >>> ast.unparse(parsed("E+A/N**a"))
    'E + A / N ** a'
    """
    _require_short(text)
    if "#" in text:
        raise _refusal("the formula holds a comment", "arithmetic alone", text, "leave out # and what is behind it")
    try:
        tree = ast.parse(" ".join(text.split()), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _refusal("the formula is not readable", "arithmetic, for example E + A / N**a + B / D**b", text) from None
    _require_arithmetic(tree, DEEPEST)
    _require_short(ast.unparse(tree))  # which is its name in a fit file, and read again
    return tree


def _require_short(text: str) -> None:
    if len(text) > LONGEST:
        raise _refusal("the formula is too long", f"at most {LONGEST} characters", f"{len(text)} characters")


def _require_arithmetic(node: Expression, depth: int) -> None:
    """Raise ForetokenError unless the tree holds nothing but known operations, names and numbers."""
    if depth == 0:
        raise _refusal("the formula is too deep", f"at most {DEEPEST} operations inside one another", "more")
    for part in _parts(node):
        _require_arithmetic(part, depth - 1)


def _parts(node: Expression) -> list[Expression]:
    """What an operation is made of. Raises ForetokenError for what is not known."""
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATIONS:
        return [node.left, node.right]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        return [node.operand]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        return _arguments(node, node.func.id)
    if isinstance(node, ast.Name) and re.fullmatch(r"[A-Za-z]\w{0,40}", node.id, re.ASCII):
        return []
    number = node.value if isinstance(node, ast.Constant) else None
    if isinstance(number, int | float) and not isinstance(number, bool) and abs(number) < 1e100:
        return []
    powers = isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitXor)
    cure = "a power is written N**a" if powers else None
    raise _refusal("the formula holds more than arithmetic", "+ - * / **, names and numbers", ast.unparse(node), cure)


def _arguments(node: ast.Call, name: str) -> list[Expression]:
    if name not in FUNCTIONS:
        raise _refusal(f"unknown function {name!r}", ", ".join(FUNCTIONS), name, did_you_mean(name, FUNCTIONS))
    if len(node.args) != FUNCTIONS[name][0]:
        raise _refusal(f"{name} takes {FUNCTIONS[name][0]} numbers", f"{FUNCTIONS[name][0]}", f"{len(node.args)}")
    return node.args


def value_of(node: Expression, known: Mapping[str, Real]) -> Real:
    """The expression at the values of its names, which broadcast.

    >>> float(value_of(parsed("sqrt(x) + 2 * -y"), {"x": 9.0, "y": 1.0}))
    1.0
    """
    with np.errstate(all="ignore"):
        return _value(node, known)


def _value(node: Expression, known: Mapping[str, Real]) -> Real:
    if isinstance(node, ast.Name):
        return known[node.id]
    if isinstance(node, ast.Constant):
        return np.float64(node.value)  # type: ignore[arg-type]  # a number, by _parts; of numpy, so that 9**9**9 is inf
    if isinstance(node, ast.UnaryOp):
        value = _value(node.operand, known)
        return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.BinOp):
        return OPERATIONS[type(node.op)](_value(node.left, known), _value(node.right, known))
    assert isinstance(node, ast.Call)
    assert isinstance(node.func, ast.Name)
    return FUNCTIONS[node.func.id][1](*(_value(argument, known) for argument in node.args))


def names_in(node: Expression) -> Counter[str]:
    """Names and how often each stands there, in the order in which they are met; not those of functions."""
    functions = {id(call.func) for call in ast.walk(node) if isinstance(call, ast.Call)}
    names = [part for part in ast.walk(node) if isinstance(part, ast.Name) and id(part) not in functions]
    return Counter(name.id for name in sorted(names, key=lambda name: name.col_offset))


def summands(node: Expression) -> list[Expression]:
    """The parts of a sum. Raises ForetokenError where one is subtracted."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return summands(node.left) + summands(node.right)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd):
        return summands(node.operand)
    minus = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub)
    if minus or isinstance(node, ast.UnaryOp):
        text = ast.unparse(node)
        raise _refusal("a term is subtracted", "terms that fall and are added", text, "write it as a term that falls")
    return [node]


def is_monomial(node: Expression, features: frozenset[str]) -> bool:
    """Whether a term is a product of powers of features, whose exponents read none.

    >>> is_monomial(parsed("A / N**a"), frozenset("N")), is_monomial(parsed("A / log(N)"), frozenset("N"))
    (True, False)
    """
    if isinstance(node, ast.Name | ast.Constant):
        return True
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Div):
        return is_monomial(node.left, features) and is_monomial(node.right, features)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        return is_monomial(node.left, features) and not features & set(names_in(node.right))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("sqrt", "pow"):
        return is_monomial(node.args[0], features) and not any(features & set(names_in(a)) for a in node.args[1:])
    return False


def _refusal(message: str, expected: str, got: str, cure: str | None = None) -> ForetokenError:
    return ForetokenError(message, expected=expected, got=got, cure=cure, code="unusable_formula")
