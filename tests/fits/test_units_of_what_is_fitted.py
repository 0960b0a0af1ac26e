"""Units: the same table in nats and in bits, a score in fractions and in percent, give the same intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from foretoken.fits import Fit, fit
from foretoken.forecasts import predict
from foretoken.laws import LAWS, Law
from foretoken.runs.table import RunTable

from ..laws.samples import RANGES, TRUTHS, runs

IN_BITS, IN_PERCENT = 1 / np.log(2), 100.0
SCORES = sorted(name for name, law in LAWS.items() if law.column == "score" and not name.startswith("broken"))
LOSSES = ["power", "saturating_flops", "saturating_params", "chinchilla", "coupled"]


def simulated(law: Law, unit: float, count: int = 30) -> RunTable:
    """Runs of a law with 0.5 % noise, in another unit of what it predicts."""
    x = runs(law, count)
    values = law.value_and_grad(law.theta(TRUTHS[law.name])[None], x)[0][0]
    values = np.exp(values) if law.is_logarithmic else values
    values = values * np.exp(0.005 * np.random.default_rng(0).standard_normal(count))
    columns = dict(zip(law.features, np.exp(x).T, strict=True))
    size, length = columns.get("params", np.geomspace(1e7, 1e9, count)), columns.get("tokens", np.full(count, 1e9))
    columns = {"params_total": size, "tokens": length, "flops": 6 * size * length, **columns, law.column: values * unit}
    columns.pop("params", None)
    return RunTable(pd.DataFrame(columns), "a test")


def both(name: str, unit: float) -> tuple[Fit, Fit]:
    law = LAWS["coupled"] if name == "weighed" else LAWS[name]
    one, other = (fit(simulated(law, factor), name, draws=50) for factor in (1.0, unit))
    return one, other


@pytest.mark.parametrize(
    ("name", "unit"), [*((name, IN_BITS) for name in [*LOSSES, "weighed"]), *((name, IN_PERCENT) for name in SCORES)]
)
def test_intervals_do_not_depend_on_the_unit(name: str, unit: float) -> None:
    one, other = both(name, unit)
    law = LAWS[one.law]
    assert one.status == other.status
    for key, (low, high) in one.intervals.items():
        factor = unit if key in law.scales else 1.0
        if law.features != ("loss",):
            assert other.intervals[key] == pytest.approx((low * factor, high * factor), rel=1e-6), key
    at = {feature: 3 * RANGES[feature][1] if feature != "loss" else 1.9 for feature in law.features}
    sizes = {key: at.pop(key) for key in ("params", "tokens", "flops") if key in at}
    told, converted = (predict(each, **sizes, at=at, strict=False) for each in (one, other))
    expected = (told.loss * unit, told.low * unit, told.high * unit)
    assert (converted.loss, converted.low, converted.high) == pytest.approx(expected, rel=1e-6)


def test_a_law_without_a_logarithm_is_linear_in_its_scales() -> None:
    for name, law in LAWS.items():
        if not law.is_logarithmic:
            x, truth = runs(law, 10), TRUTHS[name]
            doubled = {key: 2 * value if key in law.scales else value for key, value in truth.items()}
            values = [law.value_and_grad(law.theta(each)[None], x)[0] for each in (truth, doubled)]
            assert values[1] == pytest.approx(2 * values[0]), name
