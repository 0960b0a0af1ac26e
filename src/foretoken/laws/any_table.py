"""Laws for any table of sizes, data and a score: nothing here knows of text, tokens or networks."""

from __future__ import annotations

from foretoken.laws import chinchilla
from foretoken.laws.downstream import climb
from foretoken.laws.formula import LogNormal, Parameter, exponent, law_from, term
from foretoken.laws.law import Law, Real

SOURCE = "the forms of Hoffmann et al. 2022, arXiv 2203.15556, and Bhagia et al. 2024, arXiv 2412.04403, on any axis"
ERROR = Parameter(kind="irreducible", unit="score", prior=LogNormal(0.5, 1.5))
LEVEL = Parameter(kind="irreducible", unit="score", signed=True)


def falling(size: Real, *, E: Real, A: Real, alpha: Real) -> Real:
    """What falls towards E: an error, a loss, a distance."""
    return E + A / size**alpha


def rising(size: Real, *, top: Real, A: Real, alpha: Real) -> Real:
    """What rises towards `top`: an accuracy, a reward.

    >>> rising(100.0, top=0.9, A=2.0, alpha=0.5)
    0.7
    """
    return top - A / size**alpha


def rising_with_data(size: Real, data: Real, *, top: Real, A: Real, B: Real, alpha: Real, beta: Real) -> Real:
    """What rises towards `top` with size and with data."""
    return top - A / size**alpha - B / data**beta


SIZE = term("score x size^alpha", alpha=(0, 1.0))
DATA = term("score x data^beta", beta=(1, 1.0))
SIZE_ERROR: Law = law_from(
    falling,
    name="size_error",
    formula="error = E + A / size^alpha",
    features=("size",),
    parameters={"E": ERROR, "A": SIZE, "alpha": exponent()},
    column="score",
    unit="score",
    citation=SOURCE,
    domain="a positive score that falls with one quantity",
)
SIZE_SCORE: Law = law_from(
    rising,
    name="size_score",
    formula="score = top - A / size^alpha",
    features=("size",),
    parameters={"top": LEVEL, "A": SIZE, "alpha": exponent()},
    target="raw",
    column="score",
    unit="score",
    citation=SOURCE,
    domain="a score that rises with one quantity and levels off",
)
SIZE_ACCURACY: Law = law_from(
    climb,
    name="size_accuracy",
    formula="score = b + a / (1 + (X_0 / size)^k)",
    features=("size",),
    parameters={
        "a": Parameter(kind="term", low=1e-3, unit="score"),
        "b": LEVEL,
        "k": Parameter(low=0.02, high=20.0, unit="1"),
        "X_0": Parameter(kind="location", unit="size"),
    },
    target="raw",
    column="score",
    unit="score",
    citation=SOURCE,
    domain="a score that climbs from guessing to a ceiling, once",
)
TABLE_ERROR: Law = law_from(
    chinchilla.loss,
    name="table_error",
    formula="error = E + A / size^alpha + B / data^beta",
    features=("size", "data"),
    parameters={"E": ERROR, "A": SIZE, "B": DATA, "alpha": exponent(), "beta": exponent()},
    column="score",
    unit="score",
    citation=SOURCE,
    domain="a positive score that falls with size and with data",
)
TABLE_SCORE: Law = law_from(
    rising_with_data,
    name="table_score",
    formula="score = top - A / size^alpha - B / data^beta",
    features=("size", "data"),
    parameters={"top": LEVEL, "A": SIZE, "B": DATA, "alpha": exponent(), "beta": exponent()},
    target="raw",
    column="score",
    unit="score",
    citation=SOURCE,
    domain="a score that rises with size and with data",
)
