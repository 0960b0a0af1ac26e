"""The linters find nothing: what `make lint` says, as a test; and what the type checker is to find, it finds."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    "arguments",
    [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]],
    ids=["check", "format", "types"],
)
def test_linters(arguments: list[str]) -> None:
    result = subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


TRAVELS = ("Fit", "RunRecord", "Plan", "Entry")
"""What goes from stage to stage, and into files."""


def with_new_field(text: str, name: str) -> str:
    """Source in which the class `name` has one more field, a number."""
    (found,) = (node for node in ast.parse(text).body if isinstance(node, ast.ClassDef) and node.name == name)
    last = max(node.end_lineno or 0 for node in found.body if isinstance(node, ast.AnnAssign))
    lines = text.splitlines(keepends=True)
    lines.insert(last, "    r_squared: float = 0.0\n")
    return "".join(lines)


def with_wrong_value(text: str, name: str) -> str:
    """Source in which each call of the class `name` gives that field a text."""
    calls = [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
    ]
    lines = text.splitlines(keepends=True)
    for call in sorted(calls, key=lambda node: (node.lineno, node.col_offset), reverse=True):
        row, column = (call.end_lineno or 0) - 1, (call.end_col_offset or 0) - 1
        before = lines[row][:column].rstrip()
        if not before:
            before = "    "
        comma = "" if before.endswith((",", "(")) or not before.strip() else ", "
        lines[row] = f"{before}{comma} r_squared='oops'{lines[row][column:]}"
    return "".join(lines)


def test_a_wrong_type_in_a_new_field_fails(tmp_path: Path) -> None:
    for folder in ("src", "examples"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    if (ROOT / ".mypy_cache").exists():
        shutil.copytree(ROOT / ".mypy_cache", tmp_path / ".mypy_cache")
    spoiled = {}
    for path in (tmp_path / "src").rglob("*.py"):
        text = changed = path.read_text()
        for name in TRAVELS:
            if re.search(rf"\nclass {name}[:(]", changed):
                changed = with_new_field(changed, name)
            changed = with_wrong_value(changed, name)
            if "'oops'" in changed:
                spoiled[name] = path
        if changed != text:
            path.write_text(changed)
    assert set(spoiled) == set(TRAVELS)
    result = subprocess.run(
        [sys.executable, "-m", "mypy"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "MYPYPATH": "src"},
    )
    for name in TRAVELS:
        wrong = f'Argument "r_squared" to "{name}" has incompatible type "str"; expected "float"'
        assert wrong in result.stdout, result.stdout[-2000:]
