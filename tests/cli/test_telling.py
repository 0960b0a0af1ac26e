"""What is told beside a result, on standard error: by default what was written, less with -q, more with -v."""

from __future__ import annotations

import inspect
import logging
import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from foretoken.cli import PANELS, app, main
from foretoken.cli.plan import PANELS as PLAN_PANELS
from foretoken.plans.request import PlanRequest

Tell = Callable[[str], tuple[str, str]]


@pytest.fixture
def tell(workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tell:
    """A command line -> what it printed, and what it told on standard error."""
    shutil.copy(workshop / "fit.json", tmp_path)
    monkeypatch.chdir(tmp_path)

    def told(line: str) -> tuple[str, str]:
        monkeypatch.setattr(sys, "argv", ["foretoken", *line.split()])
        with pytest.raises(SystemExit) as end:
            main()
        assert end.value.code in (0, None, 2)
        return capsys.readouterr()

    return told


INIT, PREDICT = "init mine --force", "predict fit.json --params 7B --tokens 140B"


def test_what_was_written_is_said_beside_the_result(tell: Tell) -> None:
    printed, told = tell(f"{INIT} --json")
    assert told == "wrote mine.toml\n"
    assert printed.startswith("{")


@pytest.mark.parametrize("line", [f"{INIT} -q", f"-q {INIT}", f"--quiet {INIT}"])
def test_quiet_tells_the_result_alone(line: str, tell: Tell) -> None:
    assert tell(line) == ("next: foretoken design mine.toml\n", "")
    assert tell(INIT)[1] == "wrote mine.toml\n", "one command line does not change the next"


@pytest.mark.parametrize("line", [f"{PREDICT} -v", f"-v {PREDICT}", f"-q {PREDICT} --verbose"])
def test_verbose_tells_what_is_read_and_how_long_it_takes(line: str, tell: Tell) -> None:
    printed, told = tell(line)
    read, took = told.splitlines()
    assert (printed, read.split(": ")[0], took.split()[0]) == (tell(PREDICT)[0], "read fit.json", "took")
    logger = logging.getLogger("foretoken")
    assert (logger.handlers, logger.level) == ([], logging.NOTSET), "a program that calls verbs keeps its own log"


def test_errors_are_told_whatever_is_asked(tell: Tell) -> None:
    assert tell("-q predict nowhere.json --params 7B --tokens 140B")[1].startswith("error: ")
    assert "contradict" in tell("predict fit.json -q -v")[1]


@pytest.mark.parametrize(("option", "count"), [("-q", 0), ("-v", 2)])
def test_every_warning_is_shown_or_none(option: str, count: int, tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    def warned(*_: object) -> None:
        for _once in range(2):
            warnings.warn("a doubt", UserWarning, stacklevel=1)

    monkeypatch.setattr(sys.modules["foretoken.cli.predict"], "print_checks", lambda *_, **__: warned())
    monkeypatch.setattr(warnings, "showwarning", lambda message, *_: sys.stderr.write(f"{message}\n"))
    assert tell(f"{PREDICT} {option}")[1].count("a doubt") == count


def test_every_verb_has_both_and_stands_under_a_heading() -> None:
    commands = [*app.registered_commands, *(one for group in app.registered_groups
                for one in (group.typer_instance or app).registered_commands)]  # fmt: skip
    assert len(commands) > 30
    for command in commands:
        assert command.callback
        assert {"quiet", "verbose"} <= set(inspect.signature(command.callback).parameters), command.callback
    headings = [command.rich_help_panel for command in app.registered_commands]
    assert set(headings) == set(PANELS)
    assert {group.rich_help_panel for group in app.registered_groups} <= set(PANELS)


def test_every_option_of_plan_stands_under_one_heading() -> None:
    told = [name for names in PLAN_PANELS.values() for name in names]
    assert sorted(told) == sorted(inspect.signature(PlanRequest).parameters)
