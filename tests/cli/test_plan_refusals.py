"""What cannot be planned, by the real command line: exit code 2, one message that says what is wrong, no traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from foretoken.cli import main

LAW = ("--law", "besiroglu_2024")
BUDGET = ("--compute", "1e24", *LAW)
SMALL = ("--accelerator", "RTX 4090", "--count", "8")
FILES = {
    "negative.toml": "[accelerator.h100_sxm]\nprice = -1.9\n",
    "busy.toml": '[[mfu]]\nkinds = ["gpu"]\nvalue = 1.2\n',
}

REFUSED = {
    "machines without a time": (("--compute", "5 H100", *LAW), "without a time"),
    "a time without machines": (("--compute", "30 days", *LAW), "no budget"),
    "no unit of a budget": (("--compute", "1e24 tokens", *LAW), "no budget"),
    "no unit of a time": (("--compute", "5 H100 for 3 kg", *LAW), "time is not a quantity"),
    "a latency without a unit": ((*BUDGET, "--latency", "20"), "ms, s,"),
    "a deadline without a unit": ((*BUDGET, "--count", "8", "--deadline", "3"), "30 days"),
    "an unknown accelerator in a budget": (("--compute", "5 H1OO for 3 days", *LAW), "nearest known: H100"),
    "an unknown accelerator": ((*BUDGET, "--accelerator", "RTX 4091"), "nearest known: RTX 4090"),
    "a budget too small": (("--compute", "1e8", *LAW), "smallest sensible"),
    "text too short for the size": (("--params", "70B", "--tokens", "1M", *LAW), "smallest sensible"),
    "a budget below the sizes allowed": (("--compute", "1e8", "--sizes", "7B", *LAW), "smallest"),
    "a deadline far below the budget": ((*BUDGET, "--count", "64", "--deadline", "10 days"), "missed by a factor 45.7"),
    "a deadline below a fixed run": (
        ("--params", "70B", "--tokens", "1.4T", "--count", "64", "--deadline", "10 days", *LAW),
        "a factor 26.9",
    ),
    "a deadline below a wanted loss": (("--loss", "2", "--count", "64", "--deadline", "10 days", *LAW), "missed by"),
    "a deadline that the layout misses": (
        ("--params", "7B", "--tokens", "140B", "--count", "4096", "--deadline", "1.1 hours", *LAW),
        "no layout meets the deadline",
    ),
    "a model that fits no machine": (("--params", "10T", *SMALL, *LAW), "times that"),
    "a budget whose best model fits no machine": (("--compute", "1e28", *SMALL, *LAW), "fits no layout on 8 RTX 4090"),
    "tokens above the distinct ones": (
        ("--tokens", "300B", "--unique", "100B", "--max-epochs", "1", *LAW),
        "at most 1e+11",
    ),
    "epochs of unknown text": ((*BUDGET, "--max-epochs", "1"), "--unique"),
    "less than one epoch": ((*BUDGET, "--unique", "1T", "--max-epochs", "0.5"), "at least 1"),
    "an MFU above 1": ((*BUDGET, "--mfu", "1.2"), "mfu cannot be 1.2"),
    "an MFU above 1 in a file": ((*BUDGET, "--accelerators", "busy.toml"), "busy.toml"),
    "a negative price": ((*BUDGET, "--usd-per-hour", "-2"), "usd_per_hour cannot be -2.0"),
    "a negative price in a file": ((*BUDGET, "--accelerators", "negative.toml"), "price of h100_sxm"),
    "a negative amount of money": (("--compute", "$-2M of H100", *LAW), "above 0"),
    "a PUE below 1": ((*BUDGET, "--pue", "0.5"), "at least 1"),
    "carbon below 0": ((*BUDGET, "--grid", "-1"), "kg_co2e_per_kwh"),
    "half an accelerator": ((*BUDGET, "--count", "2.5"), "whole"),
    "a negative budget": (("--compute", "-1e24", *LAW), "above 0"),
    "no number": (("--loss", "nan", *LAW), "finite"),
    "no vocabulary": ((*BUDGET, "--vocabulary", "-5"), "vocabulary"),
    "no context": ((*BUDGET, "--context", "0"), "context"),
    "no tolerance": ((*BUDGET, "--tolerance", "0"), "tolerance"),
    "a server that answers nobody": ((*BUDGET, "--serve", "1T", "--serve-batch", "0"), "at least 1"),
    "experts for a law that reads none": ((*BUDGET, "--experts", "8"), "ludziejewski_2025"),
    "more active experts than there are": (
        ("--compute", "1e21", "--law", "ludziejewski_2025", "--experts", "2", "--active", "4"),
        "1 to 2",
    ),
    "active experts alone": ((*BUDGET, "--active", "2"), "--experts"),
    "a family without proportions": ((*BUDGET, "--family", "lstm"), "lstm"),
    "a published law for another family": ((*BUDGET, "--family", "encoder"), "laws are of decoders"),
    "no law": (("--compute", "1e24"), "--law"),
    "an unknown law": (("--compute", "1e24", "--law", "besiroglu"), "besiroglu_2024"),
    "no wish": (LAW, "starts from"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_planned_ends_with_2_and_one_message(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words, part = REFUSED[name]
    for file, text in FILES.items():
        (tmp_path / file).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["foretoken", "plan", *words, "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr()
    assert (ended.value.code, told.out) == (2, "")
    assert told.err.startswith("error: ")
    assert told.err.count("error: ") == 1
    assert part in told.err
    assert any(f"\n  {key}: " in told.err for key in ("expected", "got", "cure"))


def test_a_refusal_leaves_no_traceback_in_a_process_of_its_own() -> None:
    command = [sys.executable, "-m", "foretoken", "plan", "--compute", "5 H100", *LAW, "--json"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "Traceback" not in ended.stderr


def planned(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> dict:
    monkeypatch.setattr(sys, "argv", ["foretoken", "plan", *words, "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    found: dict = json.loads(capsys.readouterr().out)
    return found


def test_a_law_far_outside_its_range_is_flagged_with_factors_and_not_refused(capsys, monkeypatch) -> None:
    found = planned(capsys, monkeypatch, "--compute", "1e30", *LAW)
    assert found["extrapolation"]["flops"] > 1e5
    (far,) = (check for check in found["checks"] if check["code"] == "far_extrapolation")
    assert "times beyond the runs" in far["evidence"]


def test_dollars_that_name_no_machine_are_spent_on_the_usual_one_and_that_is_said(capsys, monkeypatch) -> None:
    found = planned(capsys, monkeypatch, "--compute", "$2M", *LAW)
    assert found["cost"]["usd"] == pytest.approx(2e6)
    assert any("costs are those of H100" in said for said in found["assumed"])


def test_a_deadline_that_leaves_part_of_the_budget_caps_it(capsys, monkeypatch) -> None:
    found = planned(capsys, monkeypatch, *BUDGET, "--count", "512", "--deadline", "10 days")
    assert found["cost"]["days"] == pytest.approx(10)
    assert any("below the budget by a factor 5.7" in said for said in found["binding"])
