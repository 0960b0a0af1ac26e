"""What runs that are only planned already show: whether a law can be fitted to them at all."""

from __future__ import annotations

from collections.abc import Sequence

from foretoken.fits.check import Check
from foretoken.fits.fit_checks import design_checks
from foretoken.fits.rows import Rows, refusals
from foretoken.laws.law import Array, Law


def check_planned_runs(law: Law, params: Array, tokens: Array, flops: Array, loss: Array) -> list[Check]:
    """What a fit of `law` to these runs would refuse or doubt; `loss` is what they may give, roughly.

    Too few runs for the parameters, one size, one length, and size and length that move together are known before
    anything is trained.

    >>> import numpy as np
    >>> from foretoken.laws import CHINCHILLA
    >>> n, d = np.geomspace(1e6, 1e7, 4), np.geomspace(1e8, 1e9, 4)
    >>> [check.code for check in check_planned_runs(CHINCHILLA, n, d, 6 * n * d, 5.0 - np.arange(4))]
    ['too_few_runs', 'collinear', 'few_runs', 'nearly_collinear']
    """
    unknown: Sequence[None] = [None] * len(params)
    rows = Rows(
        run=[""] * len(params),
        group=[*unknown],
        parent=[*unknown],
        params=params,
        tokens=tokens,
        flops=flops,
        y=loss,
        params_column="params_total",
        dropped=[],
        repeated=0,
        skipped=0,
        assumed=[],
    )
    refused = [Check.of_refusal(reason) for reason in refusals(rows, law)]
    return refused + (list(design_checks(rows)) if len(rows) > 2 else [])
