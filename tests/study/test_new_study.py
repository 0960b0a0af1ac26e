"""`init`: a study file that runs as it is, tells every key with its default, and replaces nothing unasked."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import foretoken as ft
from foretoken.compute.families import FAMILIES
from foretoken.errors import StudyFileError
from foretoken.runs.builtin import family_study
from foretoken.runs.study_file import Study, all_keys
from foretoken.study.new_study import study_text
from foretoken.study.runner import StudyRunner
from foretoken.units import parse_count

from ..fuzz.verbs import foretoken, strict_json

FROM = [name for name in FAMILIES if family_study(name)]
IN_PLACE = ("design.kind", "design.params", "design.tokens_per_param", "design.runs", "corpus.tasks")
"""Behind a # of [design]: another kind with its lists; of [corpus]: a list that is empty unless given."""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def commented(text: str) -> dict[str, Any]:
    """The values behind a #, by their dotted key."""
    found, table = {}, ""
    for line in text.splitlines():
        table = f"{match[1]}." if (match := re.match(r"\[(\w+)\]", line)) else table
        if match := re.match(r"# (\w+) = ", line):
            found[f"{table}{match[1]}"] = tomllib.loads(line.removeprefix("# "))[match[1]]
    return found


@pytest.mark.parametrize("family", FROM)
def test_each_family_begins_with_a_sound_study(family: str, here: Path) -> None:
    made = ft.init("mine", family=family)
    study = ft.load_study(made.path)
    assert (study.name, made.path) == ("mine", Path("mine.toml"))
    tuned = ft.load_study(family_study(family) or "")
    assert (study.objective, study.training.learning_rate) == (tuned.objective, tuned.training.learning_rate)
    assert (study.model.preset, study.model.layers) == (tuned.model.preset, tuned.model.layers)


def test_what_it_plans_can_be_run(here: Path) -> None:
    (here / "text.txt").write_text("".join(f"{n} bears met {n * n} foxes.\n\n" for n in range(250_000)))
    made = ft.init("mine", text="text.txt")
    assert len(StudyRunner(ft.load_study(made.path), here / "runs" / "mine").design().runs) == 20


def test_every_key_is_told() -> None:
    text = study_text(Path("mine.toml"))
    told = set(re.findall(r"\b(\w+) = ", text)) | set(re.findall(r"^(?:# )?\[(\w+)\]", text, re.M))
    assert {key.split(".")[-1] for key in all_keys()} - told == set()
    lines = [line for line in text.splitlines() if re.match(r"(# )?\w+ = ", line)]
    bare = {line.split(" = ")[0] for line in lines if "  # " not in line}
    assert bare == {"# beta1", "# beta2", "# spikes", "# runs"}, "told on the line before, or on the one after"


def test_a_key_behind_a_mark_shows_its_default() -> None:
    defaults = Study(name="mine", design={"budgets": [1e11]}).model_dump()  # type: ignore[arg-type]
    shown = {key: value for key, value in commented(study_text(Path("mine.toml"))).items() if key not in IN_PLACE}
    assert len(shown) > 40
    for key, value in shown.items():
        table, name = key.split(".")
        default = defaults[table][name]
        if key == "corpus.language":
            value = {**value, "tokens": parse_count(value["tokens"])}
        assert value == default or default is None, key


def test_nothing_is_replaced_unasked(here: Path) -> None:
    (here / "mine.toml").write_text("mine")
    with pytest.raises(StudyFileError, match=r"(?s)mine\.toml is there already.*force=True"):
        ft.init("mine")
    assert (here / "mine.toml").read_text() == "mine"
    told = strict_json(foretoken("init", "mine.toml", "--force", "--json"))
    assert told == {
        "study": "mine", "path": "mine.toml", "family": "decoder", "next_command": "foretoken design mine.toml",
    }  # fmt: skip
    assert [path.name for path in here.iterdir()] == ["mine.toml"]


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("mine", {"family": "encodr"}, "no study of the family 'encodr'.*did you mean 'encoder'"),
        ("mine", {"family": "../quickstart"}, "no study of the family"),
        ("mine", {"text": "nowhere"}, "no text at nowhere"),
        *(
            (name, {}, "no name for a study")
            for name in ("my study", 'a"b', "", ".", "é", "-mine", "mine.json", "m" * 65)
        ),
        ("corpora", {}, "'corpora' is taken"),
    ],
)
def test_what_cannot_be_is_refused_and_not_written(name: str, options: dict[str, str], words: str, here: Path) -> None:
    with pytest.raises(StudyFileError, match=f"(?s){words}"):
        ft.init(name, **options)  # type: ignore[arg-type]
    assert not list(here.iterdir())
