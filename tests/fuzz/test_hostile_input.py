"""Hostile input of every kind ends in a clear error or is taken: no traceback, no hang, nothing touched outside.

A few of each here; benchmarks/fuzz.py tries thousands.
"""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from foretoken.errors import ForetokenError

from . import watch
from .inputs import KINDS
from .watch import watched

EXAMPLES = {
    "study files": 100,
    "run tables": 60,
    "options": 30,
    "fit files": 60,
    "study folders": 8,
    "parts of fits": 20,
}


@pytest.mark.parametrize("name", KINDS)
def test_hostile_input_is_refused_or_taken(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    kind, parent = KINDS[name], tmp_path_factory.mktemp("fuzz")

    @settings(
        max_examples=EXAMPLES.get(name, 40),
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(kind.strategy)
    def check(drawn: Any) -> None:
        outcome = watched(lambda folder: kind.act(drawn, folder), parent)
        assert not outcome.bad, f"{outcome.verdict}: {outcome.detail}\n{drawn!r:.2000}"

    check()


@given(st.binary(max_size=4))
@settings(max_examples=5, derandomize=True, database=None, deadline=None)
def test_the_watch_sees_each_kind_of_defect(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    parent = tmp_path_factory.mktemp("watch")

    def leave(folder: Path) -> None:
        (folder.parent / "outside.txt").write_bytes(content)

    def unpickle(folder: Path) -> None:
        pickle.loads(pickle.dumps(Path()))

    def flood(folder: Path) -> None:
        error = ForetokenError("x")
        error.args = ("x" * 20_000,)
        raise error

    def refuse(folder: Path) -> None:
        raise ForetokenError("no")

    def stay(folder: Path) -> None:
        (folder / "mine").write_bytes(content)

    def divide(folder: Path) -> None:
        1 // 0  # noqa: B018

    verdicts = {leave: "outside", unpickle: "outside", flood: "traceback", divide: "traceback", refuse: "refused",
                stay: "accepted"}  # fmt: skip
    for act, verdict in verdicts.items():
        assert watched(act, parent).verdict == verdict


def test_the_watch_rings_when_the_time_is_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def work(folder: Path) -> None:
        while True:
            folder.exists()

    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(watch, "WAIT_SECONDS", 0.2)
    assert watched(lambda folder: (tmp_path / "pipe").read_bytes(), tmp_path).verdict == "hang"
    monkeypatch.setattr(watch, "WAIT_SECONDS", 90.0)
    monkeypatch.setattr(watch, "LIMIT_SECONDS", 0.2)
    assert watched(work, tmp_path).verdict == "hang"
