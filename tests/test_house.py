"""The measures of the house, held: typed matter, one way between files, words of state, sizes, comments, tests."""

from __future__ import annotations

import ast
import io
import re
import statistics
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import foretoken

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
FILES = sorted((SOURCE / "foretoken").rglob("*.py"))
UNTYPED = re.compile(r"\b(dict|Mapping|MutableMapping)\[str, (Any|object)\]")
OURS = re.compile(r"\b(docs|studies|examples|benchmarks|tests|shared)/\w")
"""A file of this folder that no wheel has."""
STATES = {"family", "status", "severity", "schedule", "objective", "estimator", "precision", "positions", "policy"}
"""Words whose values are one closed set; `kind` is counted where it is one, see below."""


OPENS = re.compile(
    r"(os\.|io\.|gzip\.|bz2\.|lzma\.|zstandard\.)?open|.*\.(read_text|read_bytes|memmap|fromfile|from_file|load_file)"
    r"|(pd|pandas|pyarrow|pq|pyarrow\.(parquet|feather|csv|json))\.read_\w+|(pyarrow\.parquet\.)?ParquetFile|safe_open"
)
READ_BY_THEMSELVES = {
    "bounded.py": "the door itself",
    "arrow_files.py": "what was opened by it", "formats.py": "what was opened by it",
    "checkpoint_files.py": "inside of what was opened by it",
    "tokenized.py": "tokens are mapped into memory, after their size was compared with the manifest's",
    **dict.fromkeys(("mailbox.py", "array_worker.py", "slurm.py", "ray_launcher.py", "local.py", "worker.py"),
                    "what a driver and its workers write"),
    "lease.py": "locks, and the identity of the machine", "clock.py": "the identity of the machine",
    "bucket.py": "objects of a bucket, bounded by its listing",
    "chain.py": "the folder that is locked", "atomic.py": "the folder that is flushed",
    "hardware.py": "what the system tells", "energy.py": "what the system tells",
    **dict.fromkeys(("cite.py", "published.py", "registry.py", "new_study.py", "html.py", "plots.py",
                     "first_screen.py"), "what is installed with the package"),
}  # fmt: skip


@cache
def tree(path: Path) -> ast.Module:
    """A file's syntax, parsed once."""
    return ast.parse(path.read_text())


def name_of(path: Path) -> str:
    """`foretoken.fits.fit` of a file."""
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): path for path in FILES}


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    """All functions and methods of a file."""
    return (node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef))


def untyped_signatures(source: ast.AST) -> list[str]:
    """Public functions and fields of an untyped mapping that do not say `json` in their names."""
    found = []
    for node in ast.walk(source):
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and "json" not in node.name:
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            annotations = {one.arg: one.annotation for one in arguments if "json" not in one.arg}
            annotations |= {"return": node.returns}
            if node.args.kwarg:
                annotations[f"**{node.args.kwarg.arg}"] = node.args.kwarg.annotation
            found += [
                f"{node.name}({name})"
                for name, annotation in annotations.items()
                if annotation and (UNTYPED.search(ast.unparse(annotation)) or is_open(name, annotation))
            ]
        if isinstance(node, ast.ClassDef):
            fields = [
                one for one in node.body if isinstance(one, ast.AnnAssign) and "json" not in ast.unparse(one.target)
            ]
            found += [
                f"{node.name}.{ast.unparse(one.target)}"
                for one in fields
                if UNTYPED.search(ast.unparse(one.annotation))
            ]
    return found


def is_open(name: str, annotation: ast.expr) -> bool:
    """Whether an argument is `**names: Any`, which hides what a function takes."""
    return name.startswith("**") and ast.unparse(annotation) in ("Any", "object")


def blind_pipes(source: ast.AST) -> list[str]:
    """Calls of a class with `**mapping`, which no type checker follows; not in functions with `json` in their names."""
    borders = {
        id(call)
        for node in ast.walk(source)
        if isinstance(node, ast.FunctionDef) and "json" in node.name
        for call in ast.walk(node)
    }
    calls = (node for node in ast.walk(source) if isinstance(node, ast.Call) and id(node) not in borders)
    return [
        ast.unparse(call)[:80]
        for call in calls
        if any(keyword.arg is None for keyword in call.keywords)
        and re.match(r"([A-Z]\w*|cls)$", ast.unparse(call.func).split(".")[-1])
    ]


def state_comparisons(source: ast.AST) -> list[str]:
    """Comparisons of a state word with literals: `run.status == "failed"`, `family in ("lstm", "gru")`."""
    found = []
    for node in ast.walk(source):
        if not isinstance(node, ast.Compare):
            continue
        sides = [node.left, *node.comparators]
        words = {getattr(side, "attr", None) or getattr(side, "id", None) for side in sides}
        if words & STATES and any(is_literal(side) for side in sides):
            found.append(ast.unparse(node))
    return found


def is_literal(side: ast.expr) -> bool:
    """A text, or a collection that holds one."""
    values = side.elts if isinstance(side, ast.Tuple | ast.List | ast.Set) else [side]
    return any(isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value for value in values)


def imports(path: Path, *, deferred: bool = True) -> set[str]:
    """Modules of ours that a file imports, at its head or in its functions; not what only type checkers read."""
    skipped = {
        id(inner)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree(path)):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return found & set(MODULES)


def importers() -> dict[str, set[str]]:
    """Who imports each module, `__init__` files left out."""
    found = defaultdict(set)
    for path in FILES:
        if path.name != "__init__.py":
            for name in imports(path):
                found[name].add(name_of(path))
    return found


def openings(source: ast.AST) -> list[str]:
    """Calls that open a file to be read, by whatever library."""
    calls = [node for node in ast.walk(source) if isinstance(node, ast.Call)]
    return [ast.unparse(call)[:80] for call in calls if OPENS.fullmatch(ast.unparse(call.func)) and not writes(call)]


def writes(call: ast.Call) -> bool:
    """Whether a file is opened to be written, or what is opened is no file but bytes."""
    first = ast.unparse(call.args[0]) if call.args else ""
    modes = [ast.unparse(argument)[1:-1] for argument in call.args[1:2]]
    in_memory = first.startswith(("io.BytesIO", "pyarrow.BufferReader"))
    return in_memory or any(re.fullmatch("[wxa]b?", mode) for mode in modes)


def comments(path: Path) -> int:
    """Lines with a comment that is not for a tool."""
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text()).readline)
    return sum(
        1 for token in tokens if token.type == tokenize.COMMENT and not re.match(r"# ?(fmt|type|noqa|!)", token.string)
    )


def lines(paths: list[Path]) -> int:
    """Lines of files."""
    return sum(path.read_text().count("\n") for path in paths)


def ring(graph: dict[str, set[str]]) -> list[str]:
    """The names on some way that leads back to where it began; empty where there is none."""
    done: set[str] = set()
    for start in graph:
        path, waiting = [], [(start, iter(sorted(graph[start])))]
        path.append(start)
        while waiting:
            here, ahead = waiting[-1]
            step = next((name for name in ahead if name not in done), None)
            if step is None:
                done.add(here)
                waiting.pop()
                path.pop()
            elif step in path:
                return [*path[path.index(step) :], step]
            else:
                path.append(step)
                waiting.append((step, iter(sorted(graph.get(step, set())))))
    return []


def test_untyped_mappings_stay_at_the_borders_to_json() -> None:
    found = [f"{path.relative_to(SOURCE)}: {one}" for path in FILES for one in untyped_signatures(tree(path))]
    assert not found, "\n".join(found)


def test_no_mapping_is_poured_into_a_constructor() -> None:
    found = [f"{path.relative_to(SOURCE)}: {one}" for path in FILES for one in blind_pipes(tree(path))]
    assert not found, "\n".join(found)


def test_states_are_asked_not_compared() -> None:
    found = [f"{path.relative_to(SOURCE)}: {one}" for path in FILES for one in state_comparisons(tree(path))]
    assert len(found) <= 25, "\n".join(found)


def test_what_a_user_names_is_opened_at_one_place() -> None:
    found = {path.name: openings(tree(path)) for path in FILES if path.name not in READ_BY_THEMSELVES}
    assert not {name: calls for name, calls in found.items() if calls}


def test_no_ring_of_files() -> None:
    graph = {name: imports(path) - {name} for name, path in MODULES.items() if path.name != "__init__.py"}
    graph = {
        name: {other for other in others if MODULES[other].name != "__init__.py"} for name, others in graph.items()
    }
    assert not ring(graph)


def test_few_files_have_one_reader() -> None:
    known = importers()
    single = [
        f"{name} <- {min(known[name])}"
        for name, path in MODULES.items()
        # A page is read by the table of pages, too, in an `__init__`.
        if path.name != "__init__.py" and not name.endswith("_page") and len(known[name]) == 1
    ]
    assert len(single) <= 0.1 * len(MODULES), "\n".join(single)


def test_functions_fit_on_a_screen() -> None:
    sizes = {
        f"{path}:{node.lineno}:{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path in FILES
        for node in functions(path)
    }
    assert not [name for name, size in sizes.items() if size > 50]
    assert statistics.median(sizes.values()) <= 8


def test_files_are_one_thing() -> None:
    sizes = [lines([path]) for path in FILES]
    assert 100 <= statistics.median(sizes) <= 160
    assert max(sizes) <= 400


def test_comments_and_tests_are_there() -> None:
    assert sum(map(comments, FILES)) >= 0.015 * lines(FILES)
    assert lines(sorted((ROOT / "tests").rglob("*.py"))) >= 0.65 * lines(FILES)


def test_what_a_user_reads_cites_what_is_installed() -> None:
    """No message names a file of this folder (docs/costs.md), nor does `help` of a public name: a wheel has none."""
    found = []
    for path in FILES:
        told = {id(node.value) for node in ast.walk(tree(path)) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree(path)):
            text = node.value if isinstance(node, ast.Constant) and id(node) not in told else ""
            found += [f"{path.name}: {text}"] if isinstance(text, str) and OURS.search(text) else []
    helps = [foretoken.__doc__, *(getattr(foretoken, name).__doc__ for name in foretoken.__all__)]
    assert not found + [text for text in helps if text and OURS.search(text)]


def test_no_file_needs_a_system_s_own_modules_to_be_imported() -> None:
    heads = [node for path in FILES for node in tree(path).body if isinstance(node, ast.Import)]
    assert not {alias.name for node in heads for alias in node.names} & {"fcntl", "termios", "resource", "pwd", "grp"}


def test_the_formatter_is_obeyed() -> None:
    skips = Counter({path.name: path.read_text().count("# fmt: skip") for path in FILES})
    assert skips.total() <= 10, skips.most_common(10)


@pytest.mark.parametrize(
    ("check", "code"),
    [
        (untyped_signatures, "def price(values: dict[str, Any]) -> float: ..."),
        (untyped_signatures, "def price(**values: Any) -> float: ..."),
        (untyped_signatures, "class Fit:\n    noise: dict[str, Any]"),
        (blind_pipes, "def fit(rows): return Fit(law, **circumstances(rows))"),
        (openings, "text = Path(name).read_text()"),
        (openings, "with open(path, 'rb') as file: pass"),
        (openings, "frame = pd.read_csv(path)"),
        (state_comparisons, "if run.status == 'failed': pass"),
        (state_comparisons, "x = shape.family in ('lstm', 'gru')"),
    ],
)
def test_each_measure_finds_what_it_is_for(check: object, code: str) -> None:
    assert check(ast.parse(code))  # type: ignore[operator]
    assert not check(ast.parse("def to_json(self) -> dict[str, Any]: return Fit(**values)"))  # type: ignore[operator]


def test_a_ring_is_found() -> None:
    assert ring({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert not ring({"a": {"b", "c"}, "b": {"c"}, "c": set()})
