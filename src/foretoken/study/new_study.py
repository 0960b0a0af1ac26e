"""A commented study file to begin with: every key with its unit, and starting values that were tuned for its family."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foretoken.arguments import did_you_mean, named_arguments
from foretoken.compute.families import FAMILIES
from foretoken.errors import StudyFileError
from foretoken.escapes import command, for_toml
from foretoken.results import Result
from foretoken.runs.builtin import PACKAGE, family_study
from foretoken.runs.study_file import STUDY_NAME, check_study
from foretoken.store.atomic import create_file, write_file

TEMPLATE = PACKAGE / "samples" / "study.toml"


@dataclass(frozen=True, kw_only=True)
class NewStudy(Result):
    """A study file that was written."""

    study: str
    """The study's name."""
    path: Path
    family: str

    @property
    def next_command(self) -> str:
        """What to type then."""
        return command("design", self.path)

    def to_json(self) -> dict[str, Any]:
        """The keys of `foretoken init --json`."""
        return {"study": self.study, "path": str(self.path), "family": self.family, "next_command": self.next_command}


@named_arguments
def init(name: str | Path, *, family: str = "decoder", text: str | Path | None = None, force: bool = False) -> NewStudy:
    """Write NAME.toml: a study that runs as it is, with every key explained and its unit said.

    `name` may lead through folders ("plans/mine"). `text` is a file or folder to read in place of Python's own
    library. Raises StudyFileError for a file that is there already (unless `force`), a name that no study can have, an
    unknown family, or a text that is not there.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     made = init(f"{folder}/mine")
    ...     made.study, made.path.name, "budgets = [" in made.path.read_text()
    ('mine', 'mine.toml', True)
    """
    path = Path(name)
    stem = path.stem if path.suffix == ".toml" else path.name
    if not re.fullmatch(STUDY_NAME, stem):
        expected = "letters, digits, - and _, of which a letter or a digit comes first; 64 at most"
        raise StudyFileError("no name for a study", expected=expected, got=repr(stem), cure="for example mine")
    path = path.with_name(f"{stem}.toml")
    content = study_text(path, family, text).encode()
    if force:
        write_file(path, content)
    elif not create_file(path, content):
        raise StudyFileError(f"{path} is there already", expected="a new file", cure="give another name, or --force")
    return NewStudy(study=path.stem, path=path, family=family)


def study_text(path: Path, family: str = "decoder", text: str | Path | None = None) -> str:
    """The study file of that path, checked; raises what `init` raises."""
    tuned = family_study(family)
    if tuned is None:
        known = [name for name in FAMILIES if family_study(name)]
        cure = did_you_mean(family, known)
        raise StudyFileError(f"no study of the family {family!r} to begin with", expected=", ".join(known), cure=cure)
    settings_json = tomllib.loads(tuned.read_text())
    model, training = settings_json["model"], settings_json["training"]
    values = {
        "PATH": str(path),
        "NAME": path.stem,
        "CORPUS": _corpus(text),
        "PRESET": model["preset"],
        "SHAPE": _shape(model.get("layers")),
        "OBJECTIVE": settings_json["objective"]["kind"],
        "LEARNING_RATE": _inline(training["learning_rate"]),
        "BUDGETS": str(settings_json["design"]["budgets"]),
    }
    study = re.sub("@([A-Z_]+)@", lambda match: values[match[1]], TEMPLATE.read_text())
    check_study(study, path)
    return study


def _corpus(text: str | Path | None) -> str:
    """The lines of source and path: the library of this Python unless another text is given."""
    if text is None:
        return (
            'source = "python-stdlib"  # the library of this Python: real text on every machine; or text, tasks, ...\n'
            '# path = "my_texts/"  # for source = "text": a file or folder of plain text, .json, .jsonl, .parquet'
        )
    if not Path(text).exists():
        raise StudyFileError(f"no text at {text}", expected="a file or a folder")
    comment = "# file or folder, from where you are"
    return f'source = "text"  # or python-stdlib, zipf_markov, tasks\npath = {for_toml(str(text))}  {comment}'


def _shape(layers: int | None) -> str:
    """The lines of the shape: a fixed depth where the family's study has one."""
    width = "width_per_layer = {}  # width over depth, which gives each number of parameters its shape"
    depth = "layers = {}  # the same depth for all sizes, in place of width_per_layer"
    if layers is None:
        return f"{width.format(24)}\n# {depth.format(4)}"
    return f"# {width.format(16.0)}\n{depth.format(layers)}"


def _inline(rule_json: dict[str, float]) -> str:
    """An inline table of numbers."""
    return f"{{ {', '.join(f'{name} = {value!r}' for name, value in rule_json.items())} }}"
