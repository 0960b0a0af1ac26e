"""The request of a plan: one list of names for Python, the command line and the help, and near names for wrong ones."""

from __future__ import annotations

import inspect
from dataclasses import fields

import pytest
from typer.main import get_command

import foretoken
from foretoken.arguments import ArgumentNameError
from foretoken.cli import app
from foretoken.cli.request_options import argument_helps
from foretoken.ladders.request import NextRunRequest
from foretoken.plans.request import PlanRequest

VERBS = {"plan": (foretoken.plan, PlanRequest), "next": (foretoken.next_run, NextRunRequest)}
OUTPUT = {"out", "html", "json", "context", "help", "quiet", "verbose"}
"""Options that say where an answer goes."""


def options(verb: str) -> set[str]:
    return {option.name for option in get_command(app).commands[verb].params}


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_of_the_command_line_is_an_argument_in_python(verb: str) -> None:
    function, _ = VERBS[verb]
    assert options(verb) - OUTPUT <= set(inspect.signature(function).parameters)
    assert set(inspect.signature(function).parameters) <= options(verb)


@pytest.mark.parametrize("verb", VERBS)
def test_every_argument_has_a_type_and_a_line_of_documentation(verb: str) -> None:
    function, request = VERBS[verb]
    helps = argument_helps(inspect.getdoc(request) or "")
    assert set(helps) == {field.name for field in fields(request)}
    assert all(len(text) > 10 for text in helps.values())
    assert all(parameter.annotation for parameter in inspect.signature(function).parameters.values())
    assert all(f"{name}: " in (function.__doc__ or "") for name in helps)


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_an_option_is_the_documentation_of_its_argument(verb: str) -> None:
    helps = argument_helps(inspect.getdoc(VERBS[verb][1]) or "")
    for option in get_command(app).commands[verb].params:
        if option.name in helps and option.name not in OUTPUT:
            assert option.help == helps[option.name]


@pytest.mark.parametrize(
    ("wrong", "near"),
    [("laww", "law"), ("max_param", "max_params"), ("reference", "reference_size"), ("compute_", "compute")],
)
def test_a_wrong_name_is_refused_with_the_nearest(wrong: str, near: str) -> None:
    with pytest.raises(ArgumentNameError, match=near):
        foretoken.plan(**{wrong: "1e22"})


@pytest.mark.parametrize(("wrong", "near"), [("fomula", "formula"), ("spent", "spend"), ("size", "sizes")])
def test_a_wrong_name_of_a_ladder_is_refused_with_the_nearest(wrong: str, near: str) -> None:
    with pytest.raises(ArgumentNameError, match=near):
        foretoken.next_run("1e22", **{wrong: 1})


@pytest.mark.parametrize(("verb", "wrong"), [(foretoken.compare, "fitt"), (foretoken.trends, "levl")])
def test_compare_and_trends_know_their_names_too(verb: object, wrong: str) -> None:
    with pytest.raises(ArgumentNameError, match="did you mean"):
        verb("1e22", **{wrong: 1})


def test_a_request_computes_nothing() -> None:
    request = PlanRequest("no budget at all", fit="absent.json", accelerators="absent.toml")
    assert request.compute == "no budget at all"
