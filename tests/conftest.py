"""What several tests share: a study small enough to train in seconds, and a table of simulated runs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foretoken.laws import CHINCHILLA
from foretoken.runs.table import RunTable

MINI = """
name = "mini"
seed = 0
[corpus]
source = "zipf_markov"
language = { symbols = 32, tokens = 400_000 }
[model]
context = 32
tied = true
[training]
batch_tokens = { value = 512 }
eval_tokens = 4096
[design]
budgets = [2e8, 4e8, 8e8]
sizes_per_budget = 4
size_ratio = 1.6
center = 20
recenter_rounds = 1
[target]
compute_factor = 3
[launch]
target_threads = 1
"""


@pytest.fixture
def mini_file(tmp_path: Path) -> Path:
    """A study file in an empty folder."""
    path = tmp_path / "mini.toml"
    path.write_text(MINI)
    return path


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a mini study that nothing disturbed, its corpus beside it; to be copied, not changed."""
    from foretoken.runs.study_file import load_study
    from foretoken.study import run

    home = tmp_path_factory.mktemp("undisturbed")
    (home / "mini.toml").write_text(MINI)
    run(load_study(home / "mini.toml"), home / "runs" / "mini")
    return home / "runs" / "mini"


@pytest.fixture
def copied(undisturbed: Path, mini_file: Path) -> Path:
    """A copy of the finished study, its corpus beside it, in `runs` beside the study file."""
    shutil.copytree(undisturbed.parent, mini_file.parent / "runs")
    return mini_file.parent / "runs" / "mini"


TRUTH = {"E": 0.7, "A": 30.0, "B": 200.0, "alpha": 0.4, "beta": 0.38}


@pytest.fixture
def ladder() -> Callable[..., RunTable]:
    """ladder(noise=0.003, seed=0): 24 runs of 4 budgets, with noise on log loss."""

    def make(noise: float = 0.0, seed: int = 0) -> RunTable:
        budget, step = (part.ravel() for part in np.mgrid[:4, :6])
        flops, N = 3e11 * 2.0**budget, 8e3 * 2 ** (0.5 * budget + 0.75 * step)
        D = flops / 6 / N
        shaken = np.exp(noise * np.random.default_rng(seed).standard_normal(24))
        columns = {"params_total": N, "tokens": D, "flops": flops, "loss": CHINCHILLA.predict(TRUTH, N, D) * shaken}
        return RunTable(pd.DataFrame({"group": [f"b{k}" for k in budget], **columns}), "a test")

    return make
