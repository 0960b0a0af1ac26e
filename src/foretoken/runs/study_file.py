"""The study file: one TOML, checked whole, every mistake reported at once with its place.

name = "quickstart"            the folder's name
[corpus]                       what is read, and how it becomes tokens
[model]                        the choices shared by all sizes
[training]                     the recipe, with its rules for learning rate, batch and warm-up
[objective]                    choices of the objective that the recipe names
[design]                       the small runs
[target]                       the big run
[launch], [forecast]           processes; the level of the interval
"""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import Field, ValidationError, model_validator

from foretoken.compute.objective import FAMILIES_OF, Objective, objectives_of
from foretoken.compute.shape import PRESETS
from foretoken.errors import ForetokenError, StudyFileError, legible, shown
from foretoken.runs.schema import (
    CorpusSection,
    DesignSection,
    ForecastSection,
    LaunchSection,
    ModelSection,
    ObjectiveSection,
    Section,
    TargetSection,
    TrainingSection,
)

LARGEST_FILE, MOST_DOTS = 2**18, 200
"""Bytes of the largest study file that is read, and dots in one of its lines: the time that a dotted key takes grows
with the square of its parts."""
MOST_MISTAKES = 40
"""Mistakes that are told at once; of a file of rubbish nobody reads more."""


class Study(Section):
    """A whole study, as its file describes it."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")
    seed: int = Field(default=0, ge=0, lt=2**31)
    corpus: CorpusSection = CorpusSection()
    model: ModelSection = ModelSection()
    training: TrainingSection = TrainingSection()
    objective: ObjectiveSection = ObjectiveSection()
    design: DesignSection
    target: TargetSection = TargetSection()
    launch: LaunchSection = LaunchSection()
    forecast: ForecastSection = ForecastSection()

    @model_validator(mode="after")
    def _the_objective_fits_the_family(self) -> Study:
        family = str(PRESETS[self.model.preset].get("family", "decoder"))
        try:
            objective = Objective(kind=self.training.objective, **self.objective.model_dump())
        except ForetokenError as error:
            raise ValueError(error.message + (f", got {error.got}" if error.got else "")) from error
        if family not in FAMILIES_OF[objective.kind]:
            known = " or ".join(repr(name) for name in objectives_of(family))
            raise ValueError(f"the {objective.kind} objective cannot train the {family} family; it takes {known}")
        return self

    @model_validator(mode="after")
    def _evaluation_has_an_error(self) -> Study:
        if self.training.eval_tokens < 2 * self.model.context:
            raise ValueError("training.eval_tokens must be at least two contexts, or the loss has no standard error")
        if self.name == "corpora":
            raise ValueError("the name 'corpora' is taken: studies keep their tokens there")
        return self


def load_study(path: str | Path, **changes: Any) -> Study:
    """Read and check a study file; `changes` replace top-level keys (`seed=3`, `name="again"`).

    Raises StudyFileError that lists every mistake with its place and the known names.
    """
    path = Path(path)
    if not path.is_file():
        raise StudyFileError(f"no study file at {path}", expected="a TOML file", cure="see studies/quickstart.toml")
    values = _read(path)
    try:
        return Study.model_validate({**values, **changes})
    except ValidationError as error:
        mistakes = [_sentence(mistake) for mistake in error.errors()[:MOST_MISTAKES]]
        more = [f"  and {error.error_count() - len(mistakes)} more"] if error.error_count() > len(mistakes) else []
        raise StudyFileError("\n".join([f"{path} has {error.error_count()} mistake(s):", *mistakes, *more])) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise StudyFileError(f"cannot read {path}", got=str(error)) from error
    if len(content) > LARGEST_FILE:
        raise StudyFileError(f"{path} is too large for a study file", expected=f"at most {LARGEST_FILE} bytes")
    try:
        text = content.decode("utf-8-sig")
        if any(line.count(".") > MOST_DOTS and not line.startswith("#") for line in text.split("\n")):
            raise RecursionError
        return tomllib.loads(text)
    except RecursionError:
        raise StudyFileError(f"{path} is not TOML of ours", got="values nested too deeply") from None
    except ValueError as error:  # no TOML, no UTF-8, or a number of thousands of digits
        raise StudyFileError(f"{path} is not TOML", got=str(error)) from error


def _sentence(mistake: Any) -> str:
    place = legible(".".join(str(part) for part in mistake["loc"]), 100)
    if mistake["type"] == "extra_forbidden":
        known = _keys_at(mistake["loc"][:-1])
        near = difflib.get_close_matches(str(mistake["loc"][-1])[:100], known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ";"
        return f"  {place}: unknown key{hint} known: {', '.join(known)}"
    text = legible(mistake["msg"].removeprefix("Value error, "), 400)
    return f"  {place}: {text} (got {shown(mistake['input'])})" if place else f"  study: {text}"


def _keys_at(place: tuple[Any, ...]) -> list[str]:
    section: Any = Study
    for part in place:
        named = section if isinstance(part, int) else section.model_fields[part].annotation
        section = get_args(named)[0] if get_origin(named) is list else named
    return list(section.model_fields)
