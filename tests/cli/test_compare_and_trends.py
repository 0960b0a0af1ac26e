from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from foretoken.cli import app

RUNNER = CliRunner()


def invoke(*arguments: str) -> str:
    result = RUNNER.invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_compare_prints_a_row_per_law() -> None:
    told = json.loads(invoke("compare", "--compute", "3640 PF-days", "--json"))
    assert told["flops"] == pytest.approx(3640 * 8.64e19)
    keys = {"id", "params", "tokens", "tokens_per_param", "loss", "loss_reason", "extrapolation", "counting"}
    assert all(keys <= set(row) for row in told["laws"])
    page = invoke("compare", "--compute", "5.76e23")
    for name in ("besiroglu_2024", "llama3_2024", "left out: kaplan_2020", "assumed:"):
        assert name in page


def test_machines_for_a_time_are_a_budget_and_what_is_assumed_is_said() -> None:
    told = json.loads(invoke("compare", "--compute", "512 H100 for 30 days", "--json"))
    assert 1e23 < told["flops"] < 2e24
    assert any("MFU" in said or "mfu" in said for said in told["assumed"])


def test_trends_prints_growth_and_dates() -> None:
    told = json.loads(invoke("trends", "--compute", "1e27", "--json"))
    assert {"trends", "text", "budget", "assumed", "level"} <= set(told)
    assert told["trends"]["compute"]["growth_interval"][0] > 1
    page = invoke("trends")
    assert "times a year" in page
    assert "assumed: " in page


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("compare", "--compute", "a lot"), "no budget"),
        (("compare", "--compute", "5 H100"), "without a time"),
        (("compare", "--compute", "-1e20"), "above 0"),
        (("compare", "--compute", "1e20", "--fit", "absent.json"), "absent.json"),
        (("trends", "--compute", "5 qq"), "unknown accelerator"),
        (("trends", "--law", "besiroglu"), "unknown published law"),
        (("trends", "--level", "2"), "between 0 and 1"),
    ],
)
def test_user_errors_end_with_2_and_no_traceback(arguments: tuple[str, ...], part: str) -> None:
    result = subprocess.run([sys.executable, "-m", "foretoken", *arguments], capture_output=True, text=True)
    assert result.returncode == 2
    assert part in result.stderr
    assert "Traceback" not in result.stderr


def test_comparing_needs_numpy_alone() -> None:
    code = (
        "import foretoken.plans.advice, foretoken.plans.regret, foretoken.plans.lifetime, sys\n"
        "heavy = {'torch', 'pandas', 'pydantic', 'scipy', 'rich'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def silent(value: object, place: str = "") -> list[str]:
    """Nulls without a reason beside them."""
    if isinstance(value, list):
        return [found for one in value for found in silent(one, f"{place}[]")]
    if not isinstance(value, dict):
        return []
    nulls = [key for key, one in value.items() if one is None and not key.endswith("reason")]
    found = [f"{place}.{key}" for key in nulls if not value.get(f"{key}_reason")]
    return found + [one for key, inner in value.items() for one in silent(inner, f"{place}.{key}")]


WORDS = {
    "plan": ("plan", "--compute", "1e23", "--law", "besiroglu_2024"),
    "compare": ("compare", "--compute", "5.76e23"),
    "trends": ("trends", "--compute", "1e40"),
}


@pytest.mark.parametrize("verb", WORDS)
def test_a_null_has_its_reason_and_every_key_is_in_the_docs(verb: str) -> None:
    told = json.loads(invoke(*WORDS[verb], "--json"))
    assert silent(told) == []
    page = (Path(__file__).parents[2] / "docs" / "plan.md").read_text().split("## Keys of `--json`")[1]
    keys = {key for key in told if not key.endswith("reason")}
    keys |= {key for row in told.get("laws", [])[:1] for key in row if not key.endswith("reason")}
    assert {key for key in keys if f"`{key}`" not in page} == set()
