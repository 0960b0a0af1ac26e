"""The rules of the house, held by tests: import contracts, what needs no torch, the same map in three places."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src" / "foretoken").rglob("*.py"))


def test_import_contracts() -> None:
    result = subprocess.run([sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"],
                            cwd=ROOT, capture_output=True, text=True)  # fmt: skip
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    "code",
    [
        "import foretoken, sys; assert not {'typer', 'numpy', 'pydantic', 'pandas', 'scipy'} & set(sys.modules)",
        "import foretoken; foretoken.fit, foretoken.predict, foretoken.run, foretoken.read_table",
        "from foretoken.cli import app",
        "import foretoken.study.runner, foretoken.cli.live",
    ],
)
def test_torch_is_not_imported(code: str) -> None:
    check = f"{code}; import sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", check], check=True, cwd=ROOT)


def test_help_imports_no_numbers() -> None:
    code = (
        "import sys; sys.argv = ['foretoken', '--help']\n"
        "from foretoken.cli import app\n"
        "try: app()\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'scipy', 'pandas', 'matplotlib', 'numpy'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_public_names_exist_and_are_listed() -> None:
    import foretoken

    assert set(foretoken.__all__) == {*foretoken.PUBLIC, "__version__"}
    for name in foretoken.__all__:
        assert getattr(foretoken, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        foretoken.nothing  # noqa: B018


def test_the_map_is_the_same_in_three_places() -> None:
    import foretoken

    packages = {path.parent.name for path in SOURCES if path.name == "__init__.py"} - {"foretoken"}
    docstring, readme = foretoken.__doc__ or "", (ROOT / "README.md").read_text()
    contract = (ROOT / "pyproject.toml").read_text()
    assert packages == set(re.findall(r"^    (\w+)/", docstring, re.M))
    assert packages == set(re.findall(r"^    (\w+)/ ", readme, re.M)) - {"foretoken"}
    layers = contract.split("layers = [")[1].split("]")[0]
    assert packages <= set(re.findall(r"foretoken\.(\w+)", layers))


def test_no_file_is_a_drawer() -> None:
    assert not {path.stem for path in SOURCES} & {"utils", "helpers", "common", "misc", "base", "core"}
