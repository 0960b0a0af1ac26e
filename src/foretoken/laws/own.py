"""A law of the user's own, from its formula as text: `E + A / N**a + B / D**b`.

Letters N, D and C, the features of `FEATURES` and the columns that are named are what it reads; E is the irreducible
loss, every other name a positive parameter. The formula is a sum of E and of terms that fall, each with a scale of its
own: so starts, bounds and the move of the origin follow from it. The name of such a law is its text, and a fit file
that says it can be read by anybody.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from foretoken.errors import ForetokenError
from foretoken.laws.expression import Expression, is_monomial, names_in, parsed, summands, value_of
from foretoken.laws.formula import IRREDUCIBLE, USUAL_EXPONENT, Parameter, exponent, law_from, term
from foretoken.laws.law import FEATURES, Array, Law, Real

LETTERS = {"N": "params", "D": "tokens", "C": "flops"}
READABLE = frozenset({*LETTERS, *FEATURES} - {"loss", "learning_rates"})
"""Names that are features wherever they stand."""
CONSTANT = "E"
NO_FEATURES = frozenset({"loss", CONSTANT})
"""Names that no column of a formula has: what is fitted, and the irreducible loss."""
MOST_PARAMETERS, MOST_FEATURES = 12, 6
NAME = r"[A-Za-z][\w.-]{0,40}"
_TEXT = re.compile(rf"\s*(?:({NAME})\s*(?:\(([\w\s,]{{0,200}})\))?\s*:)?\s*(?:(?:L|loss)\s*=(?!=))?(.*)", re.S)
EXAMPLE = "E + A / N**a + B / D**b"
_SHAPES = np.array([0.05, 0.1, 0.3, 0.5, 1.0, 2.0])
"""Values of the other parameters at which a term is tried: does it fall?"""


def law(name: str, formula: str, columns: Sequence[str] = ()) -> Law:
    """A law of your own.

    Args:
        name: what tables and pages call it.
        formula: the loss, a sum of E and of terms that fall: N, D and C are parameters, tokens and FLOP; `+ - * / **`,
            exp, log, sqrt and pow are known; every other name is a parameter above 0.
        columns: columns of your table that the formula reads besides, with numbers above 0.

    Raises ForetokenError for what is no such formula.

    >>> tied = law("tied", "E + A / N**a + B / D**a")
    >>> tied.parameters, tied.features
    (('E', 'A', 'a', 'B'), ('params', 'tokens'))
    >>> round(float(tied.evaluate({"E": 1.0, "A": 20.0, "B": 100.0, "a": 0.5}, params=100.0, tokens=1e4)), 9)
    4.0

    """
    if not re.fullmatch(NAME, name):
        got, cure = repr(name[:60]), "for example own"
        raise ForetokenError("a name of a law is letters, digits, - _ and .", got=got, cure=cure)
    columns = [columns] if isinstance(columns, str) else columns
    read = f"({', '.join(columns)})" if columns else ""
    return own_law(f"{name}{read}: {formula}")


def is_formula(text: str) -> bool:
    """Whether a text can only be a formula, and not the id of a law.

    >>> is_formula("E + A / N**a"), is_formula("chinchilla")
    (True, False)
    """
    return any(sign in text for sign in "+*/=:^(")


@lru_cache(maxsize=64)
def own_law(text: str) -> Law:
    """The law of a text `NAME(COLUMNS): FORMULA`, of which the formula alone is enough; it is its own name.

    >>> own_law("E + A/N**a").name
    'own: E + A / N ** a'
    """
    found = _TEXT.fullmatch(text)
    assert found, "the pattern takes any text"
    name, columns, formula = found[1] or "own", [c.strip() for c in (found[2] or "").split(",") if c.strip()], found[3]
    taken = [column for column in columns if column in NO_FEATURES]
    if taken:
        got, cure = f"the column {taken[0]!r}", "read what is known before a run; E is a parameter"
        raise _refusal(f"a law of the loss does not read {taken[0]!r}", got, cure)
    expression = parsed(formula)
    whole = _Formula.of(expression, frozenset({*READABLE, *columns}))
    unread = [column for column in columns if column not in names_in(expression)]
    if unread:
        raise _refusal(f"the formula does not read the column {unread[0]!r}", ast.unparse(expression), "leave it out")
    read = f"({', '.join(columns)})" if columns else ""
    return whole.law(f"{name}{read}: {ast.unparse(expression)}", ast.unparse(expression))


@dataclass(frozen=True)
class _Term:
    """A part of the sum: scale x shape."""

    expression: Expression
    scale: str
    features: tuple[str, ...]
    shapes: tuple[str, ...]
    monomial: bool
    """Whether it is a product of powers, so that a move of the origin only changes the scale."""

    def shape(self, known: Mapping[str, Real]) -> Real:
        """The term at a scale of 1."""
        return value_of(self.expression, {**known, self.scale: 1.0})

    def falls(self) -> bool:
        """Whether it falls along one of its features, whatever its other parameters are."""
        return any(self._falls_along(feature) for feature in self.features)

    def _falls_along(self, feature: str) -> bool:
        axis = np.geomspace(1e3, 1e12, 40)
        falling = False
        for turn in range(2 * len(_SHAPES)):
            # Each parameter runs through the values at a pace of its own, so that they differ in every order.
            tried = {name: float(_SHAPES[(turn * (k + 1) + k) % len(_SHAPES)]) for k, name in enumerate(self.shapes)}
            places = {name: 1e7 for name in self.features} | {name: 1e7 for name in _locations(self)}
            values = np.asarray(self.shape({**tried, **places, feature: axis}))
            values = values[np.isfinite(values)]
            if values.ndim and (np.diff(values) > 1e-9 * np.abs(values[1:])).any():
                return False
            falling |= bool(values.ndim and len(values) > 1 and values[-1] < values[0])
        return falling


@dataclass(frozen=True)
class _Formula:
    """A sum of E and of terms that fall."""

    expression: Expression
    constant: bool
    terms: tuple[_Term, ...]
    features: tuple[str, ...]
    """In the order in which they are met, as the formula calls them."""
    parameters: tuple[str, ...]

    @classmethod
    def of(cls, expression: Expression, readable: frozenset[str]) -> _Formula:
        """The terms of an expression. Raises ForetokenError where one is none."""
        met = names_in(expression)
        features = tuple(name for name in met if name in readable)
        parameters = tuple(name for name in met if name not in readable)
        if not features:
            raise _refusal("the formula reads nothing of a run", ast.unparse(expression), f"for example {EXAMPLE}")
        if len(parameters) > MOST_PARAMETERS or len(features) > MOST_FEATURES:
            got = f"{len(parameters)} parameters, {len(features)} features"
            raise _refusal(f"at most {MOST_PARAMETERS} parameters of {MOST_FEATURES} features", got, "leave some out")
        parts = summands(expression)
        constant = any(isinstance(part, ast.Name) and part.id == CONSTANT for part in parts)
        terms = tuple(
            _term(part, met, readable) for part in parts if not (isinstance(part, ast.Name) and part.id == CONSTANT)
        )
        if constant and met[CONSTANT] > 1:
            raise _refusal("E stands alone, once", ast.unparse(expression), "give the other one a name of its own")
        return cls(expression, constant, terms, features, parameters)

    def law(self, name: str, text: str) -> Law:
        """The law."""
        columns = tuple(dict.fromkeys(LETTERS.get(feature, feature) for feature in self.features))
        free = {f for part in self.terms if not part.monomial for f in part.features}
        not_centred = tuple(LETTERS.get(feature, feature) for feature in free)

        def loss(*features: Real, **parameters: Real) -> Real:
            known = dict(zip(columns, features, strict=True))
            return value_of(self.expression, {**parameters, **self._by_letter(known)})

        def shift(theta: Array, origin: Array) -> Array:
            # A g(x - o) = A g(-o) / g(0) g(x) for a product of powers g, whatever its exponents are made of.
            moved = theta.copy()
            values = {key: np.exp(theta[..., k]) for k, key in enumerate(self.parameters)}
            there = self._by_letter(dict(zip(columns, np.exp(-origin), strict=True)))
            ones = dict.fromkeys(self.features, 1.0)
            for part in self.terms:
                if part.monomial:
                    ratio = np.log(part.shape({**values, **there})) - np.log(part.shape({**values, **ones}))
                    moved[..., self.parameters.index(part.scale)] += ratio
            return moved

        return law_from(
            loss,
            name=name,
            formula=f"L = {text}",
            parameters={key: self._parameter(key, columns, not_centred) for key in self.parameters},
            features=columns,
            citation="a formula of the user's own",
            domain="the runs that it was fitted to",
            not_centred=not_centred,
            shift=shift,
        )

    def _by_letter(self, known: Mapping[str, Real]) -> dict[str, Real]:
        return {feature: known[LETTERS.get(feature, feature)] for feature in self.features}

    def _parameter(self, name: str, columns: tuple[str, ...], not_centred: Sequence[str]) -> Parameter:
        if name == CONSTANT:
            return IRREDUCIBLE
        mine = [part for part in self.terms if name in (part.scale, *part.shapes)]
        if mine[0].scale == name:
            # Far from the origin of the features a scale can be any number; around it, it is of the size of a loss.
            far = any(LETTERS.get(feature, feature) in not_centred for feature in mine[0].features)
            low, high = (1e-12, 1e45) if far else (1e-4, 100.0)
            return term("with its term in nats per token", low, high)
        axes = [_locations(part)[name] for part in mine if name in _locations(part)]
        if axes:
            axis = columns.index(LETTERS.get(axes[0], axes[0]))
            return Parameter(kind="location", axis=axis, unit=f"of {axes[0]}")
        usual = all(_is_exponent(part.expression, name, {"N", "D", "params", "tokens"}) for part in mine)
        return exponent(prior=USUAL_EXPONENT if usual else None)


def _term(part: Expression, met: Counter[str], readable: frozenset[str]) -> _Term:
    """A term and its scale. Raises ForetokenError for one that has none, or that does not fall."""
    text = ast.unparse(part)
    inside = names_in(part)
    features = tuple(name for name in inside if name in readable)
    if not features:
        cure = f"call the one constant {CONSTANT}: {EXAMPLE}"
        raise _refusal(f"the term `{text}` reads nothing of a run", text, cure)
    scales = [name for name in _factors(part) if name not in readable and met[name] == 1]
    if len(scales) != 1:
        many = "more than one scale, which no run tells apart" if scales else "no scale of its own"
        raise _refusal(f"the term `{text}` has {many}", text, "write one factor before it: A / N**a")
    shapes = tuple(name for name in inside if name not in readable and name != scales[0])
    found = _Term(part, scales[0], features, shapes, is_monomial(part, readable))
    stray = [name for name in shapes if found.monomial and not _is_in_exponent(part, name)]
    if stray:
        raise _refusal(f"`{stray[0]}` only rescales {scales[0]} in `{text}`", text, "leave it out")
    if CONSTANT in inside:
        raise _refusal(f"E is the irreducible loss, and no part of a term: `{text}`", text, "give it another name")
    if not found.falls():
        raise _refusal(f"the term `{text}` does not fall along {' or '.join(features)}", text, f"for example {EXAMPLE}")
    return found


def _factors(node: Expression) -> list[str]:
    """Names that the whole term is proportional to."""
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return _factors(node.left) + _factors(node.right)
    return _factors(node.left) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) else []


def _powers(node: Expression) -> list[tuple[Expression, Expression]]:
    """Base and exponent of every power inside."""
    found = [(n.left, n.right) for n in ast.walk(node) if isinstance(n, ast.BinOp) and isinstance(n.op, ast.Pow)]
    return found + [
        (n.args[0], n.args[1])
        for n in ast.walk(node)
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == "pow"
    ]


def _is_in_exponent(node: Expression, name: str) -> bool:
    return any(name in names_in(power) for _, power in _powers(node))


def _is_exponent(node: Expression, name: str, of: set[str]) -> bool:
    """Whether a parameter is itself the power, or less the power, of one of these features."""
    return any(
        isinstance(base, ast.Name) and base.id in of and ast.unparse(power).lstrip("-") == name
        for base, power in _powers(node)
    )


def _locations(part: _Term) -> dict[str, str]:
    """Parameters that a feature is divided by, or that are divided by one: places on its axis."""
    found = {}
    for node in ast.walk(part.expression):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            signless = [side.operand if isinstance(side, ast.UnaryOp) else side for side in (node.left, node.right)]
            sides = [side.id for side in signless if isinstance(side, ast.Name)]
            here = [name for name in sides if name in part.shapes]
            there = [name for name in sides if name in part.features]
            if here and there:
                found[here[0]] = there[0]
    return found


def _refusal(message: str, got: str, cure: str) -> ForetokenError:
    expected = "a sum of E and of terms that fall, each with a scale of its own"
    return ForetokenError(message, expected=expected, got=got, cure=cure, code="unusable_formula")
