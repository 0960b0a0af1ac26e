"""The study file: one TOML, checked whole, every mistake reported at once with its place.

name = "quickstart"            the folder's name
[corpus]                       what is read, and how it becomes tokens
[model]                        the choices shared by all sizes
[training]                     the recipe, with its rules for learning rate, batch and warm-up
[objective]                    what the networks learn to predict
[trainer]                      a command of yours that trains each run, in place of foretoken's loop
[design]                       the small runs
[target]                       the big run
[launch], [forecast]           processes; the level of the interval
[evaluate], [finetune]         tasks that the networks are scored on, and a task that copies are tuned on
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args, get_type_hints

from pydantic import Field, PrivateAttr, ValidationError, model_validator

from foretoken.arguments import did_you_mean, did_you_mean_file, named_arguments, nearest
from foretoken.bounded import handed_over, parse_toml, read_file
from foretoken.compute.objective import CAUSAL
from foretoken.compute.shape import preset_family
from foretoken.errors import StudyFileError, legible, shown, without_secrets
from foretoken.runs.builtin import studies, study_path
from foretoken.runs.corpus_section import CorpusSection
from foretoken.runs.evaluate_section import EvaluateSection, FinetuneSection
from foretoken.runs.schema import (
    EXAMPLES,
    DesignSection,
    ForecastSection,
    LaunchSection,
    ModelSection,
    ObjectiveSection,
    TargetSection,
    TrainingSection,
)
from foretoken.runs.section import AS_WRITTEN, Section
from foretoken.runs.trainer_section import TrainerSection

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

logger = logging.getLogger(__name__)
LARGEST_FILE = 2**18
"""Bytes of the largest study file that is read."""
STUDY_NAME = "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
"""What a study's name matches: it names a folder."""
MOST_MISTAKES = 40
"""Mistakes that are listed at once; of a file of rubbish nobody reads more."""


class Study(Section):
    """A whole study, as its file describes it."""

    name: str = Field(pattern=STUDY_NAME)
    seed: int = Field(default=0, ge=0, lt=2**31)
    corpus: CorpusSection = CorpusSection()
    model: ModelSection = ModelSection()
    training: TrainingSection = TrainingSection()
    objective: ObjectiveSection = CAUSAL
    trainer: TrainerSection | None = None
    design: DesignSection
    target: TargetSection = TargetSection()
    launch: LaunchSection = LaunchSection()
    forecast: ForecastSection = ForecastSection()
    evaluate: EvaluateSection | None = None
    finetune: FinetuneSection | None = None
    _home: Path = PrivateAttr(default_factory=Path.cwd)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Study) and self.model_dump() == other.model_dump()

    @property
    def home(self) -> Path:
        """The folder of the study file, where an own trainer's command runs; no setting, so two studies may differ."""
        return self._home

    @property
    def adds_runs(self) -> bool:
        """Whether the runs are listed one by one and nothing is trained after them: they may complete another table."""
        return bool(self.design.runs) and not self.target.train

    @model_validator(mode="after")
    def _the_objective_fits_the_family(self) -> Study:
        family, kind = preset_family(self.model.preset), self.objective.kind
        if kind not in family.objectives:
            known = " or ".join(map(repr, family.objectives))
            raise ValueError(f"the {kind} objective cannot train the {family.name} family; it takes {known}")
        return self

    @model_validator(mode="after")
    def _own_trainer_stands_alone(self) -> Study:
        sizes = self.trainer.sizes if self.trainer else []
        if self.design.kind == "ladder" and not self.design.params and not sizes:
            raise ValueError(f"design: kind 'ladder' needs `params`, for example {EXAMPLES['ladder']}")
        if self.trainer is None:
            if self.launch.kind == "manual":
                raise ValueError("launch.kind 'manual' is for an own trainer ([trainer]), whose commands you can start")
            if self.target.size:
                raise ValueError("target.size is for an own trainer ([trainer]): say target.tokens_per_param")
            return self
        for size in [*sizes, *filter(None, [self.target.size])]:
            if lacking := self.trainer.lacking(size):
                raise ValueError(f"the command needs {', '.join(lacking)} of every size; {size} does not give it")
        if self.evaluate or self.finetune:
            raise ValueError("[evaluate] and [finetune] score networks of foretoken's loop, not those of [trainer]")
        idle = {"corpus": self.corpus != CorpusSection(), "launch.target_threads": self.launch.target_threads > 0}
        if found := [key for key, set_ in idle.items() if set_]:
            raise ValueError(
                f"{' and '.join(found)} has no effect beside [trainer], whose command reads what it trains"
            )
        return self

    @model_validator(mode="after")
    def _evaluation_has_an_error(self) -> Study:
        if self.trainer is None and self.training.eval_tokens < 2 * self.model.context:
            raise ValueError("training.eval_tokens must be at least two contexts, or the loss has no standard error")
        if self.name == "corpora":
            raise ValueError("the name 'corpora' is taken: studies keep their tokens there")
        return self


@named_arguments
def load_study(path: str | Path, *, seed: int | None = None, name: str | None = None) -> Study:
    """Read and check a study file, or a built-in study by its name (`quickstart`).

    A `seed` or `name` that is given stands in place of the file's.

    Raises StudyFileError that lists every mistake with its place and the known names.
    """
    path = study_path(Path(path))
    if not (os.path.lexists(path) or handed_over(path)):
        known, near = studies(), did_you_mean_file(path, also=studies())
        expected = f"a TOML file, or a built-in study: {', '.join(known)}"
        raise StudyFileError(f"no study file at {path}", expected=expected, cure=near)
    # Into the values before they are checked, so that a bad name or seed is one of the mistakes that are listed.
    given = {"seed": seed, "name": name}
    study = _checked({**_read(path), **{key: value for key, value in given.items() if value is not None}}, path)
    if not handed_over(path):
        study._home = path.parent.absolute()
    logger.info("read %s: study %s", path, study.name)
    return study


def check_study(text: str, path: Path) -> Study:
    """The study that a text describes, which is to stand at `path`. Raises StudyFileError."""
    return _checked(_parsed(text.encode(), path), path)


def _checked(values_json: dict[str, Any], path: Path) -> Study:
    try:
        return Study.model_validate(values_json, context=AS_WRITTEN)
    except ValidationError as error:
        mistakes = _sentences(error, values_json)
        more = [f"  and {len(mistakes) - MOST_MISTAKES} more"] if len(mistakes) > MOST_MISTAKES else []
        told = [f"{path} has {len(mistakes)} mistake(s):", *mistakes[:MOST_MISTAKES], *more]
        raise StudyFileError("\n".join(told)) from None


def _read(path: Path) -> dict[str, Any]:
    return _parsed(read_file(path, StudyFileError, LARGEST_FILE), path)


def _parsed(content: bytes, path: Path) -> dict[str, Any]:
    try:
        values_json: dict[str, Any] = parse_toml(content)
        return values_json
    except ValueError as error:  # no TOML, no UTF-8, or a number of thousands of digits
        raise StudyFileError(f"{path} is not TOML", got=str(error)) from error


UNKNOWN_KEY = ("extra_forbidden", "unexpected_keyword_argument")
WORDS = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "string": "a text",
    "list": "a list",
    "dict": "a table",
    "model": "a table",
    "model_attributes": "a table",
    "dataclass": "a table",
}
"""What a value was to be, by the kind of pydantic's mistake before its last word: int_type, int_parsing, ..."""


def _sentences(error: ValidationError, values_json: dict[str, Any]) -> list[str]:
    """One line per value that is wrong, as `  training.clip: ... (got -1)`, with all that it might have been."""
    told: dict[tuple[str, str], list[str]] = {}
    placed = [(mistake, *_place(mistake, values_json)) for mistake in error.errors()]
    outer = {place[:depth] for _, place, _ in placed for depth in range(len(place))}
    for mistake, place, value in placed:
        # Of what a value might have been, the kind whose inner values were looked at is meant.
        if place in outer:
            continue
        problem = _problem(mistake, place)
        # Of an unknown key its name is wrong, and of a table what stands in it: neither is shown whole.
        named = mistake["type"] in UNKNOWN_KEY or isinstance(value, dict) or f", got {shown(value)}" in problem
        got = "" if named else f" (got {without_secrets(shown(value))})"
        said = told.setdefault((legible(".".join(map(str, place)), 100) or "study", got), [])
        if problem not in said:
            said.append(problem)
    return [f"  {place}: {_joined(said)}{got}" for (place, got), said in told.items()]


def _joined(said: list[str]) -> str:
    """Several mistakes of one value: `expected a number or a text` where they are only of what it might have been."""
    if len(said) == 1 or not all(problem.startswith("expected ") for problem in said):
        return "; ".join(said)
    wanted = [problem.removeprefix("expected ") for problem in said if problem != f"expected {WORDS['int']}"]
    return f"expected {' or '.join(wanted)}"


def _place(mistake: ErrorDetails, values_json: dict[str, Any]) -> tuple[tuple[int | str, ...], Any]:
    """The keys that lead to a wrong value, and the value; pydantic puts the kinds that it tried between them."""
    place, value = list[int | str](), cast(Any, values_json)
    for part in mistake["loc"]:
        there = isinstance(value, dict) and part in value
        if there or (isinstance(value, list) and isinstance(part, int) and part < len(value)):
            place.append(part)
            value = value[part]
    if mistake["type"] == "missing":
        place.append(mistake["loc"][-1])
    return tuple(place), value


def _problem(mistake: ErrorDetails, place: tuple[int | str, ...]) -> str:
    kind, _, how = mistake["type"].rpartition("_")
    if mistake["type"] in UNKNOWN_KEY:
        return f"unknown key{_hint(place)}"
    if mistake["type"] == "missing":
        return "needed, and not there"
    if kind in WORDS and how in ("type", "parsing"):
        return f"expected {WORDS[kind]}"
    text = legible(mistake["msg"].removeprefix("Value error, "), 400).replace("Input should be", "expected")
    if mistake["type"] == "literal_error":
        near = did_you_mean(str(mistake["input"]), re.findall(r"'([^']*)'", mistake["ctx"]["expected"]))
        text += f"; {near}" if near else ""
    return text


def _hint(place: tuple[int | str, ...]) -> str:
    """What is most like an unknown key: a key of its table, or one of the same name in another table."""
    name, keys = str(place[-1]), _keys_at(place[:-1])
    near = nearest(name, keys) or [key for key in all_keys() if key.split(".")[-1] == name]
    return f"{f'; did you mean {near[0]!r}?' if near else ';'} known: {', '.join(keys)}"


def _keys_at(place: tuple[int | str, ...]) -> tuple[str, ...]:
    table: type = Study
    for part in place:
        if isinstance(part, str):
            table = _tables(table)[part]
    return _keys_of(table)


def all_keys(table: type = Study, prefix: str = "") -> Iterator[str]:
    """Every key of the study file with its tables before it: `training.spikes.window`."""
    for name in _keys_of(table):
        yield prefix + name
    for name, inner in _tables(table).items():
        yield from all_keys(inner, f"{prefix}{name}.")


@cache
def _keys_of(table: type) -> tuple[str, ...]:
    names = [field.name for field in fields(table)] if is_dataclass(table) else list(get_type_hints(table))
    return tuple(name for name in names if not name.startswith("_"))


@cache
def _tables(table: type) -> dict[str, type]:
    """The keys of a table that hold tables, or lists of tables."""
    inner = {name: _table_in(hint) for name, hint in get_type_hints(table).items()}
    return {name: kind for name, kind in inner.items() if kind is not None}


def _table_in(hint: Any) -> type | None:
    """The table that a key holds, also in a list or beside other kinds: `list[str | TaskSection]`."""
    if is_dataclass(hint) or _is_section(hint):
        return cast(type, hint)
    return next((kind for inner in get_args(hint) if (kind := _table_in(inner)) is not None), None)


def _is_section(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Section)
