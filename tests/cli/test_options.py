"""Options that verbs share: texts that are lists and maps, the folder of a study, options from a request's fields."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from foretoken.cli import PANELS, app
from foretoken.cli.ledger import entry_path, parse_point
from foretoken.cli.model_options import print_positions, readable
from foretoken.cli.options import folder_of, listed, load, started_folder
from foretoken.cli.request_options import argument_helps, takes_options
from foretoken.errors import ForetokenError, StoreError, for_command_line
from foretoken.ladders.request import NextRunRequest
from foretoken.plans.request import PlanRequest
from foretoken.runs.sources import parse_map

NAMES = st.text(alphabet="abcdefgh_xyz", min_size=1, max_size=8)


@given(names=st.lists(NAMES, max_size=5), blank=st.sampled_from(["", " ", "  "]))
def test_a_list_is_read_back_whatever_the_blanks(names: list[str], blank: str) -> None:
    assert listed(f"{blank},{blank}".join(names)) == names


@given(pairs=st.dictionaries(NAMES, NAMES, max_size=5))
def test_a_map_is_read_back(pairs: dict[str, str]) -> None:
    assert parse_map(",".join(f" {ours} = {theirs}" for ours, theirs in pairs.items())) == pairs


@pytest.mark.parametrize("text", ["loss", "loss=", "=x", "a=b,c", "a=1,a=2"])
def test_a_map_that_cannot_be_read_names_its_option_and_an_example(text: str) -> None:
    with for_command_line(), pytest.raises(ForetokenError) as refused:
        parse_map(text, "--at", "experts=8")
    assert "--at" in str(refused.value)
    assert "experts=8" in str(refused.value)
    assert repr(text) in str(refused.value)


def test_the_folder_of_a_study_is_named_like_it_unless_given(mini_file: Path, tmp_path: Path) -> None:
    assert folder_of(mini_file) == Path("runs/mini")
    assert folder_of(mini_file, seed=5) == Path("runs/mini-seed-5")
    assert folder_of(mini_file, seed=load(mini_file).seed) == Path("runs/mini")
    assert folder_of(tmp_path) == tmp_path
    assert folder_of(mini_file, None, tmp_path / "here") == tmp_path / "here"


def test_a_study_of_another_seed_has_another_name_and_the_rest_alike(mini_file: Path) -> None:
    first, other = load(mini_file), load(mini_file, 7)
    assert (other.seed, other.name) == (7, f"{first.name}-seed-7")
    assert other.model == first.model
    assert other.training == first.training


def test_a_study_that_was_not_started_says_how_to_start_it(mini_file: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"foretoken run .*mini\.toml"):
        started_folder(mini_file)
    with pytest.raises(StoreError, match="give the study's file or folder"):
        started_folder(tmp_path)
    (tmp_path / "design.json").write_text("{}")
    assert started_folder(tmp_path) == tmp_path


@dataclass(frozen=True)
class AreaRequest:
    """A rectangle.

    Args:
        width: The longer side,
            in metres.
        height: The shorter side.
        names: Its names.
        sizes: Of others.
        file: Where it is drawn.
        rename: Columns of its table.
        where: Rows of its table.
    """

    width: str | float
    height: float = 1.0
    names: Sequence[str] = ()
    sizes: Sequence[str | float] = ()
    file: str | Path | None = None
    rename: Mapping[str, str] | None = None
    where: str = ""


def area_app(seen: list[tuple[AreaRequest, bool]]) -> typer.Typer:
    """A command line of one verb, which keeps what it was given."""

    @takes_options(AreaRequest)
    def area(request: AreaRequest, loud: Annotated[bool, typer.Option("--loud", help="Loudly.")] = False) -> None:
        seen.append((request, loud))

    single = typer.Typer()
    single.command()(area)
    return single


def test_a_verb_has_an_option_for_each_field_of_its_request() -> None:
    seen: list[tuple[AreaRequest, bool]] = []
    words = ["--width", "7B", "--height", "2", "--names", "a, b,", "--file", "x.svg", "--loud"]
    result = CliRunner().invoke(area_app(seen), words)
    assert result.exit_code == 0, result.output
    ((request, loud),) = seen
    assert (request.width, request.height, request.names, request.file) == ("7B", 2.0, ["a", "b"], Path("x.svg"))
    assert loud


def test_names_and_rows_of_a_table_may_be_given_several_times() -> None:
    seen: list[tuple[AreaRequest, bool]] = []
    words = ["--width", "7B", "--map", "loss=val_loss", "--map", "tokens=D", "--where", "a=1", "--where", "b=2"]
    assert CliRunner().invoke(area_app(seen), words).exit_code == 0
    ((request, _),) = seen
    assert (request.rename, request.where) == ({"loss": "val_loss", "tokens": "D"}, "a=1,b=2")


def test_fields_that_are_left_out_have_the_defaults_of_the_request() -> None:
    seen: list[tuple[AreaRequest, bool]] = []
    assert CliRunner().invoke(area_app(seen), ["--width", "3"]).exit_code == 0
    assert seen[0][0] == AreaRequest("3", names=[], sizes=[])
    assert CliRunner().invoke(area_app(seen), []).exit_code == 2


def test_the_help_of_an_option_is_that_of_the_field() -> None:
    page = CliRunner().invoke(area_app([]), ["--help"], env={"COLUMNS": "200", "TERM": "dumb"}).output
    assert "The longer side, in metres." in page
    assert {"7B,13B,...", "NAME,...", "OURS=THEIRS,..."} <= set(page.split())
    assert "Loudly." in page


@pytest.mark.parametrize("request_type", [PlanRequest, NextRunRequest])
def test_every_field_of_a_request_is_documented(request_type: type) -> None:
    helps = argument_helps(inspect.getdoc(request_type) or "")
    assert set(helps) == {field.name for field in fields(request_type)}
    assert all(text.endswith(".") for text in helps.values()), helps


@pytest.mark.parametrize("verb", [verb for verbs in PANELS.values() for verb in verbs], ids=lambda verb: verb.__name__)
def test_every_option_has_a_help_in_sentences(verb: object) -> None:
    parameters = inspect.signature(verb, eval_str=True).parameters.values()  # type: ignore[arg-type]
    for parameter in parameters:
        (described,) = parameter.annotation.__metadata__
        text = described.help
        assert text, parameter.name
        assert text[0].isupper() or text.split()[0].strip(",.") == text.split()[0].strip(",.").lower(), text


def test_every_example_names_options_that_its_verb_has() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for name, command in commands.items():
        known = {option for parameter in command.params for option in getattr(parameter, "opts", [])}
        words = (command.epilog or "").split()
        if not hasattr(command, "commands"):
            assert words[1:3] == ["foretoken", name]
            used = {word for word in words if word.startswith("-")}
            assert used <= known, (name, used - known)


@pytest.mark.parametrize("name", ["big", "big-run_2.1", "7b"])
def test_the_file_of_a_forecast_is_in_its_ledger(name: str) -> None:
    assert entry_path(Path("book"), name) == Path("book") / f"{name}.json"


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "-x", "big.outcome", "a b"])
def test_a_name_that_is_no_file_name_is_refused(name: str) -> None:
    with pytest.raises(ForetokenError, match="letters, digits"):
        entry_path(Path("book"), name)


def test_a_point_is_tokens_and_loss() -> None:
    assert parse_point("16B:2.31") == (1.6e10, 2.31)


@pytest.mark.parametrize("text", ["16B", "16B:", ":2", "16B:two", "x:2"])
def test_a_point_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ForetokenError):
        parse_point(text)


def test_a_models_text_is_shown_whole_and_steers_nothing() -> None:
    assert readable("a\x1b[2J" + "b" * 5000) == "a\\x1b[2J" + "b" * 5000


def test_losses_by_position_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    print_positions({"before": [(0, 0, 3.25), (1, 15, 2.5)], "after": [(0, 0, 3.0), (1, 15, 2.0)]})
    heading, first, second = capsys.readouterr().out.splitlines()
    assert len(heading) == len(first) == len(second)
    assert heading.split() == ["position", "before", "after"]
    assert second.split() == ["1", "to", "15", "2.5000", "2.0000"]
    print_positions({"loss": []})
    assert capsys.readouterr().out == ""
