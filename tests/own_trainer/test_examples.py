"""The trainers of examples/own_trainer train runs of their studies, on tokens of chance."""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import foretoken as ft
from foretoken.store.store import Store
from foretoken.study.run_study import study_runner

EXAMPLES = Path(__file__).parents[2] / "examples" / "own_trainer"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The examples beside files of tokens, and a `python` that has what they import."""
    for path in EXAMPLES.iterdir():
        if path.is_file():
            shutil.copy(path, tmp_path)
    (tmp_path / "data").mkdir()
    tokens = np.random.default_rng(0).zipf(1.5, 60_000).clip(1, 64).astype(np.uint8) - 1
    tokens[:50_000].tofile(tmp_path / "data" / "train.bin")
    tokens[50_000:].tofile(tmp_path / "data" / "validation.bin")
    import sys

    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


@pytest.mark.parametrize(("study", "needs"), [("study", ["torch"]), ("transformers", ["transformers", "accelerate"])])
def test_an_example_trains(folder: Path, study: str, needs: list[str]) -> None:
    for package in needs:
        pytest.importorskip(package, reason=f"the example needs {package}")
    runner = study_runner(ft.load_study(folder / f"{study}.toml"), folder / "runs" / study)
    with runner.owned():
        shape = runner.recipe.shape(8000)
        (run,) = runner.recipe.with_warmups([runner.recipe.spec(shape, 3e4, group="alone", threads=1)])
        runner.trainer.train([run])
        (record,) = Store(runner.folder).records()
    assert record.is_finished, record.error
    assert record.loss is not None
    assert 1.0 < record.loss < math.log(64)
    assert run.parameters.total < 16_000
