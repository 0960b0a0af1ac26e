"""Panels of a study's scores along its ladder."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from foretoken.abilities import scores
from foretoken.reports.task_scores_section import _ladder_panel


def test_a_band_without_bounds_is_drawn_whole() -> None:
    """Cut off at the scores that were measured, it would say that a new one falls no farther."""
    sizes, scatter = np.geomspace(1e15, 1e18, 8), 0.3 * np.cos(7 * np.arange(8))
    frame = pd.DataFrame({"flops": sizes, "task": "sums", "metric": "answer_nll", "score": 3.0 + scatter})
    (curve,) = scores(frame, against="flops").curves
    assert max(point.high for point in curve.band) > frame["score"].max()
    rows = frame.assign(params_total=1e6, tokens=1e9, score_se=None, group="ladder").to_dict("records")
    panel = str(_ladder_panel(("sums", "answer_nll", "0"), rows, curve, None, None, None))  # type: ignore[arg-type]
    polygon = re.search(r'<polygon points="([^"]*)"', panel)
    assert polygon
    down = [float(point.partition(",")[2]) for point in polygon[1].split()]
    assert sum(y == min(down) for y in down) == 1
