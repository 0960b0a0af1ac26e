"""Fit somebody's runs and forecast a larger one. Run: python examples/fit_a_table.py"""

from __future__ import annotations

import numpy as np
import pandas as pd

import foretoken as ft

# A table as people have it: sizes, tokens, validation loss in nats per token.
sizes, tokens = (grid.ravel() for grid in np.meshgrid(np.geomspace(5e7, 1.6e9, 6), np.geomspace(1e9, 4e10, 5)))
rng = np.random.default_rng(0)
law = ft.PUBLISHED["besiroglu_2024"].parameters
losses = ft.LAWS["chinchilla"].evaluate(law, params=sizes, tokens=tokens) * np.exp(
    0.003 * rng.standard_normal(sizes.size)
)
pd.DataFrame({"N": sizes, "D": tokens, "val_loss": losses}).to_csv("runs.csv", index=False)

table = ft.read_table("runs.csv", {"params": "N", "tokens": "D", "loss": "val_loss"})
fit = ft.fit(table, law="chinchilla")
for name, value in fit.parameters.items():
    print(name, value, fit.intervals[name], fit.reasons.get(name, ""))
for check in fit.checks:
    print(f"{check.severity}: {check.evidence} -> {check.cure}")

forecast = ft.predict(fit, params=7e9, tokens=1.4e11)
print(f"7B on 140B tokens: {forecast.loss:.3f} (90 %: {forecast.low:.3f} to {forecast.high:.3f})")
print(f"beyond the runs by {forecast.extrapolation}")
