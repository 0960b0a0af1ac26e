"""What several tests share: a study small enough to train in seconds, and a table of simulated runs."""

from __future__ import annotations

import fcntl
import functools
import re
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer.main
import typer.testing

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
workers = 1
target_threads = 1
"""

LONGEST = (
    *("study/test_runner.py", "tests/test_docs.py", "cli/test_bad_tables.py", "ladders/test_ladder.py"),
    *("tests/test_examples.py", "checks/test_diagnose.py", "tests/test_lint.py", "faults/test_kills.py"),
)
"""Files that take long, begun first, so that no process works on one of them when the others have ended."""


# A command line is made once a process, where tests call it a thousand times.
typer.main.get_command = typer.testing._get_command = functools.cache(typer.main.get_command)

TRAINS = re.compile(
    r"^(import|from) (torch|transformers|safetensors|foretoken\.(training|models|generation|evals))", re.M
)
"""What a file imports at its head that cannot be had without torch."""


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Where torch is not installed the files that need it are left out; of the others, tests that train are skipped."""
    light = find_spec("torch") is None and collection_path.suffix == ".py"
    return True if light and TRAINS.search(collection_path.read_text()) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first."""
    items.sort(key=lambda item: not item.path.as_posix().endswith(LONGEST))


@pytest.fixture
def mini_file(tmp_path: Path) -> Path:
    """A study file in an empty folder."""
    path = tmp_path / "mini.toml"
    path.write_text(MINI)
    return path


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The folder of a mini study that nothing disturbed, its corpus beside it; to be copied, not changed.

    Processes that test side by side train it once.
    """
    from foretoken.runs.study_file import load_study
    from foretoken.study.run_study import run

    pytest.importorskip("torch", reason="the study is trained")
    base = tmp_path_factory.getbasetemp()
    home = (base if worker_id == "master" else base.parent) / "undisturbed"
    home.mkdir(exist_ok=True)
    with open(home / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "runs").exists():
            (home / "mini.toml").write_text(MINI)
            run(load_study(home / "mini.toml"), home / "making" / "mini")
            (home / "making").rename(home / "runs")
    return home / "runs" / "mini"


def as_quickstart(undisturbed: Path, home: Path, name: str = "quickstart") -> None:
    """Lay the mini study into a folder under another name, as if it had been run there."""
    from foretoken.runs.study_file import load_study
    from foretoken.study.run_study import run

    (home / "studies").mkdir(exist_ok=True)
    study = home / "studies" / f"{name}.toml"
    study.write_text(MINI.replace('name = "mini"', f'name = "{name}"'))
    shutil.copytree(undisturbed.parent, home / "runs")
    (home / "runs" / "mini").rename(home / "runs" / name)
    (home / "runs" / name / "design.json").unlink()  # the one place that holds a study's name
    run(load_study(study), home / "runs" / name)


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
        columns = {
            "params_total": N,
            "tokens": D,
            "flops": flops,
            "loss": CHINCHILLA.evaluate(TRUTH, params=N, tokens=D) * shaken,
        }
        return RunTable(pd.DataFrame({"group": [f"b{k}" for k in budget], **columns}), "a test")

    return make


@pytest.fixture
def scaling_data() -> Path:
    """The folder of public run tables, beside the checkout of a developer."""
    folder = Path(__file__).parents[2] / "shared" / "data" / "scaling"
    if not folder.is_dir():
        pytest.skip(f"the public run tables are not at {folder}")
    return folder


@pytest.fixture
def few_exchanges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ladders are improved by 10 exchanges in place of 200, where it does not matter how good they are."""
    monkeypatch.setattr("foretoken.ladders.ladder.ROUNDS", 10)
