"""The examples and the README's Python run as they are printed."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from .conftest import MINI

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.stem)
def test_examples_run(path: Path, tmp_path: Path) -> None:
    result = subprocess.run([sys.executable, str(path)], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "forecast" in result.stdout or "140B" in result.stdout


def test_the_readme_runs(tmp_path: Path) -> None:
    """Its Python block, with a table of the columns that it names and a small study in the quickstart's place."""
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    rows = ["params,tokens,val_loss"]
    for n in (1e7, 3e7, 1e8, 3e8):
        rows += [f"{n},{d},{2 + 400 / n**0.35 + 2000 / d**0.37 + 1e-3 * ((7 * n + d) % 3)}" for d in (1e9, 4e9, 1.6e10)]
    (tmp_path / "runs.csv").write_text("\n".join(rows))
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "quickstart.toml").write_text(MINI.replace("recenter_rounds = 1", "recenter_rounds = 0"))
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "'inside':" in result.stdout


def test_every_command_of_the_readme_exists() -> None:
    from foretoken.cli import app

    verbs = {command.callback.__name__ for command in app.registered_commands if command.callback}
    verbs |= {group.name for group in app.registered_groups}
    told = re.findall(r"^foretoken ([\w-]+)", (ROOT / "README.md").read_text(), re.M)
    assert verbs == {name.replace("-", "_") for name in told}


def test_every_link_of_the_docs_leads_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert link.startswith("http") or (page.parent / link).exists(), f"{page.name}: {link}"


def test_every_key_of_the_study_file_is_documented() -> None:
    from foretoken.compute.objective import Objective
    from foretoken.runs.corpus_section import LanguageSection
    from foretoken.runs.schema import PlannedRuns, RuleSection
    from foretoken.runs.spec import RouterLosses, SpikePolicy
    from foretoken.runs.study_file import Study

    told = (ROOT / "docs" / "study_file.md").read_text() + (ROOT / "docs" / "corpora.md").read_text()
    tables = [Study, LanguageSection, RuleSection, PlannedRuns]
    tables += [field.annotation for field in Study.model_fields.values() if hasattr(field.annotation, "model_fields")]
    keys = {key for table in tables for key in table.model_fields}
    keys |= {field.name for part in (Objective, RouterLosses, SpikePolicy) for field in fields(part)}
    assert len(keys) > 80
    for key in keys:
        assert re.search(rf"\b{key}\b", told), key
