from __future__ import annotations

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from foretoken.cli import app
from foretoken.laws import LAWS, PUBLISHED


def told(*words: str) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 0, result.output
    return result.output


def test_the_table_lists_every_law_and_every_published_id() -> None:
    lines = told("laws")
    listed = json.loads(told("laws", "--json"))
    assert [law["name"] for law in listed["laws"]] == list(LAWS)
    assert [one["id"] for one in listed["published"]] == list(PUBLISHED)
    for law in listed["laws"]:
        assert set(law) == {"name", "formula", "predicts", "features", "source"}
        assert law["formula"] in lines
    assert all(f"\n{name} " in lines for name in PUBLISHED)


@pytest.mark.parametrize("name", [*LAWS, *PUBLISHED])
def test_show_has_a_page_and_json_for_everything(name: str) -> None:
    page = told("laws", "show", name)
    values = json.loads(told("laws", "show", name, "--json"))
    if name in PUBLISHED:
        assert values["parameters"] == PUBLISHED[name].parameters
        assert all(warning in page for warning in PUBLISHED[name].careful)
        assert all(repr(value) in page for value in PUBLISHED[name].parameters.values())
        assert values["of"]["name"] == PUBLISHED[name].law
    else:
        assert LAWS[name].domain in page
        assert list(values["parameters"]) == list(LAWS[name].parameters)
    assert told("laws", name) == page


def test_cite_prints_text_and_bibtex() -> None:
    page = told("cite", "besiroglu_2024")
    values = json.loads(told("cite", "besiroglu_2024", "--json"))
    assert values["text"] in page
    assert values["bibtex"] in page
    assert "@misc{besiroglu_2024," in page
    assert "2404.10102" in values["text"]


@pytest.mark.parametrize("verb", ["laws", "cite"])
def test_help_has_an_example_and_json(verb: str) -> None:
    page = CliRunner().invoke(app, [verb, "--help"], env={"COLUMNS": "200", "TERM": "dumb"}).output
    assert f"foretoken {verb}" in page.split("Example:")[1]
    assert "--json" in page


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("laws", "show", "hoffman_2022_tex"), "hoffmann_2022_tex"),
        (("cite", "chinchila"), "chinchilla"),
        (("cite", "zzz"), "foretoken laws"),
        (("laws", "show"), "one law"),
        (("laws", "show", "power", "coupled"), "one law"),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_2(words: tuple[str, ...], part: str) -> None:
    result = subprocess.run([sys.executable, "-m", "foretoken", *words], capture_output=True, text=True)
    assert result.returncode == 2
    assert part in result.stderr
    assert "Traceback" not in result.stderr
