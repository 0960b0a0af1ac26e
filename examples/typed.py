"""What a type checker knows of foretoken: `mypy --strict examples/typed.py`."""

from typing import assert_type

import foretoken as ft

fit = assert_type(ft.fit("sample", "chinchilla", draws=50), ft.Fit)
forecast = assert_type(ft.predict(fit, params=1e6, tokens=20e6), ft.Forecast)
loss = assert_type(forecast.loss, float)
plan = assert_type(ft.plan(1e18, law="besiroglu_2024"), ft.Plan)
table = assert_type(ft.read_table("sample"), ft.RunTable)
print(f"forecast {loss:.3f} nats per token after {len(table)} small runs; {plan.params:.3g} parameters for 1e18 FLOP")
