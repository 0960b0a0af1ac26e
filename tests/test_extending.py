"""docs/extending.md holds: each worked example runs, by itself, with the registries as they were afterwards."""

from __future__ import annotations

import doctest
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from foretoken.compute.families import FAMILIES
from foretoken.evals.metrics import METRICS
from foretoken.launchers import LAUNCHERS
from foretoken.laws import LAWS
from foretoken.reports import PAGES

from .conftest import MINI

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text()
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S))
INSERTED = re.compile(r"# src/(\S+), after: (.*)\n")


def blocks(section: str) -> list[str]:
    """The Python of a section, block by block."""
    return re.findall(r"^```python\n(.*?)^```", SECTIONS[section], re.M | re.S)


@pytest.fixture(autouse=True)
def registries() -> Iterator[None]:
    """Whatever an example registers is gone after it."""
    with patch.dict(LAWS), patch.dict(LAUNCHERS), patch.dict(METRICS), patch.dict(FAMILIES), patch.dict(PAGES):
        yield


def run_section(name: str) -> None:
    """Run the blocks of a section one after another in one namespace, and the examples in their docstrings."""
    names: dict[str, object] = {"__name__": "an_example"}
    for number, block in enumerate(blocks(name)):
        exec(compile(block, f"docs/extending.md, {name}, block {number}", "exec"), names)
    runner = doctest.DocTestRunner()
    for value in [one for one in names.values() if getattr(one, "__module__", "") == "an_example"]:
        runner.run(doctest.DocTestParser().get_doctest(value.__doc__ or "", names, name, None, None))
    assert runner.failures == 0


def test_every_section_has_an_example() -> None:
    assert list(SECTIONS) == ["A law", "A launcher", "A metric", "A JSON key", "A family", "A page"]
    assert all(blocks(section) for section in SECTIONS)


@pytest.mark.parametrize("section", ["A law", "A metric", "A family", "A page"])
def test_the_example_runs(section: str) -> None:
    run_section(section)


def test_a_study_is_trained_by_the_launcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "mini.toml").write_text(MINI)
    monkeypatch.chdir(tmp_path)
    run_section("A launcher")


def with_insertions(section: str, source: Path) -> None:
    """Do to a copy of the source what a section's blocks say: each stands after a line that it names."""
    for block in blocks(section):
        found = INSERTED.match(block)
        assert found, block
        path, anchor = source / found[1], found[2]
        before, line, after = path.read_text().partition(f"{anchor}\n")
        assert line, f"{found[1]} has no line {anchor!r}"
        path.write_text(before + line + block[found.end() :] + after)


def test_a_key_is_printed_and_read_again(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "src", tmp_path / "src")
    with_insertions("A JSON key", tmp_path / "src")
    rows = [f"{n},{d},{1.8 + 400 * n**-0.34 + 900 * d**-0.3}" for n in (1e6, 4e6, 16e6) for d in (1e8, 4e8, 16e8)]
    (tmp_path / "runs.csv").write_text("\n".join(["params,tokens,loss", *rows]))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "src")}
    command = [sys.executable, "-m", "foretoken"]
    fitted = subprocess.run(
        [*command, "fit", "runs.csv", "-o", "fit.json", "--json"], cwd=tmp_path, env=environment, capture_output=True
    )
    assert 0 <= json.loads(fitted.stdout)["residual_sd"] < 0.01
    again = [*command, "predict", "fit.json", "--params", "1e8", "--tokens", "2e9", "--json"]
    assert subprocess.run(again, cwd=tmp_path, env=environment, capture_output=True).returncode == 0
