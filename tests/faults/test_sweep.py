"""The exhaustive sweep is benchmarks/faults.py; here every kind of fault meets some of the operations."""

from __future__ import annotations

from pathlib import Path

import pytest

from .shim import KINDS
from .sweep import Undisturbed, trial

pytestmark = [
    pytest.mark.usefixtures("in_process"),
    pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning"),
]
STRIDE = 127


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_at_any_operation_leaves_nothing(kind: str, tmp_path: Path, expected: Undisturbed) -> None:
    first = 1 + 16 * list(KINDS).index(kind)
    trials = [trial(tmp_path / str(at), kind, at, expected) for at in range(first, expected.operations, STRIDE)]
    assert [trial for trial in trials if trial.wrong] == []
    assert all(trial.reached for trial in trials)
    assert {trial.first for trial in trials} <= ({"killed"} if kind == "kill" else {"refused", "finished"})
