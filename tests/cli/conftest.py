"""A folder with a run table and a fit of it, in which verbs are tried: made once, not changed by tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foretoken.fits import fit
from foretoken.laws import CHINCHILLA, PUBLISHED
from foretoken.runs.table import RunTable


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`runs.csv`: 35 runs of a published law with a noise of 0.3 %; `fit.json`: the law, fitted to them."""
    folder = tmp_path_factory.mktemp("workshop")
    law, generator = PUBLISHED["besiroglu_2024"].parameters, np.random.default_rng(0)
    flops = np.repeat(np.geomspace(1e18, 1e20, 5), 7)
    assert CHINCHILLA.optimum is not None
    sizes = CHINCHILLA.optimum(law, flops)[0] * np.tile(np.geomspace(1 / 4, 4, 7), 5)
    tokens = flops / 6 / sizes
    loss = CHINCHILLA.evaluate(law, params=sizes, tokens=tokens) * np.exp(0.003 * generator.standard_normal(35))
    frame = pd.DataFrame({"params_total": sizes, "tokens": tokens, "flops": flops, "loss": loss})
    frame.to_csv(folder / "runs.csv", index=False)
    fit(RunTable(frame, "runs.csv")).save(folder / "fit.json")
    (folder / "text.txt").write_text("7 bears met 49 foxes.\n" * 50)
    (folder / "reviews.jsonl").write_text("".join(f'{{"text": "{n} bears", "label": "{n % 2}"}}\n' for n in range(40)))
    return folder


@pytest.fixture
def in_workshop(workshop: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The workshop as the working directory."""
    monkeypatch.chdir(workshop)
    return workshop
