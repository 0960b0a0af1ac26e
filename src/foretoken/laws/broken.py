"""The smoothly broken power law of Caballero et al. 2022, with k breaks, for any axis and any score.

y = a + b x^-c0 prod_i (1 + (x / d_i)^(1 / f_i))^(-c_i f_i)

With k = 0 it is a power law with an irreducible term.
"""

from __future__ import annotations

from foretoken.laws.formula import Parameter, either_sign, exponent, law_from, term
from foretoken.laws.law import Law, Real


def curve(x: Real, *, a: Real, b: Real, c0: Real, **breaks: Real) -> Real:
    """The formula; `breaks` are c1, d1, f1, c2, ... (change of slope, place, width in ln x).

    >>> curve(4.0, a=1.0, b=8.0, c0=0.5, c1=0.5, d1=1e9, f1=0.05)
    5.0
    """
    power = b * x**-c0
    for i in range(1, len(breaks) // 3 + 1):
        change, place, width = breaks[f"c{i}"], breaks[f"d{i}"], breaks[f"f{i}"]
        power = power * (1 + (x / place) ** (1 / width)) ** (-change * width)
    return a + power


def broken(k: int) -> Law:
    """The law with k breaks."""
    parameters = {
        "a": Parameter(kind="irreducible", unit="score"),
        "b": term("score x size^c0", c0=(0, 1.0)),
        "c0": exponent(),
    }
    for i in range(1, k + 1):
        parameters |= {
            f"c{i}": either_sign(-3.0, 3.0),
            f"d{i}": Parameter(kind="location", unit="size"),
            # a break narrower than 0.05 in ln x is a kink between two runs: its width is not in the data
            f"f{i}": Parameter(low=0.05, high=5.0, unit="1"),
        }
    breaks = "".join(f" (1 + (x/d{i})^(1/f{i}))^(-c{i} f{i})" for i in range(1, k + 1))
    return law_from(
        curve,
        name=f"broken_{k}",
        formula=f"y = a + b x^-c0{breaks}",
        features=("size",),
        parameters=parameters,
        column="score",
        unit="score",
        citation="Caballero et al. 2022, Broken Neural Scaling Laws, arXiv 2210.14891",
        domain="one variable over many orders of magnitude; a break beyond the data cannot be foreseen",
    )


BROKEN_1, BROKEN_2, BROKEN_3 = broken(1), broken(2), broken(3)
