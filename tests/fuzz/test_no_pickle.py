"""Nothing in the source runs what a file says: no pickle, no eval, no shell, no loader that does it on the quiet."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCES = sorted((Path(__file__).parents[2] / "src" / "foretoken").rglob("*.py"))
READERS = [path for path in SOURCES if path.parent.name in ("runs", "data", "fits", "forecasts")]
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "yaml", "xml", "code"}
CALLS = {"eval", "exec", "compile", "__import__"}
LOADERS = {"torch.load", "torch.save", "torch.jit.load", "np.load", "os.system", "os.popen", "pd.read_hdf",
           "pd.eval"}  # fmt: skip
WORDS = {"allow_pickle", "shell", "weights_only", "trust_remote_code"}


def faults(source: str) -> list[str]:
    """What a file says that could run what another file says."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            found += [name for name in names if name.split(".")[0] in MODULES]
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            found += [called] if called in CALLS | LOADERS or called.endswith(".read_pickle") else []
            found += [word.arg for word in node.keywords if word.arg in WORDS]
    return found


@pytest.mark.parametrize("path", READERS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_lines_of_files_are_split_at_the_line_feed_alone(path: Path) -> None:
    assert ".splitlines(" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_file_runs_what_another_says(path: Path) -> None:
    assert not faults(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "line",
    ["import pickle", "from dill import loads", "torch.load(path)", "np.load(path, allow_pickle=True)", "eval(text)",
     "pd.read_pickle(path)", "subprocess.run(text, shell=True)", "import yaml"],
)  # fmt: skip
def test_each_is_found(line: str) -> None:
    assert faults(line)
