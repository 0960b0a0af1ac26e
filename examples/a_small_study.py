"""A whole study in half a minute, on a language of known entropy. Run: python examples/a_small_study.py"""

from __future__ import annotations

import sys
from pathlib import Path

import foretoken as ft

STUDY = """
name = "small"
[corpus]
source = "zipf_markov"
language = { symbols = 32, tokens = "400k" }
[model]
context = 32
tied = true
[training]
batch_tokens = { value = 512 }
eval_tokens = "8k"
[design]
budgets = [2e8, 4e8, 8e8]
sizes_per_budget = 4
size_ratio = 1.6
center = 20
[target]
compute_factor = 4
[launch]
target_threads = 1
"""

path = Path("small.toml")
path.write_text(STUDY)
result = ft.run(ft.load_study(path))
forecast, outcome = result["forecast"], result["outcome"]
print(f"forecast {forecast['loss']:.3f} ({forecast['low']:.3f} to {forecast['high']:.3f})")
print(f"it reached {outcome['loss']:.3f}")
print("the page:", Path(result["folder"]) / "report" / "index.html")
sys.exit(0 if result["counts"]["failed"] == 0 else 1)
