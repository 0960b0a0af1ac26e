"""Who has a study when several want it, or when its owner comes late."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import drivers
from .sweep import Undisturbed, in_child, wrong_afterwards

pytestmark = [
    pytest.mark.usefixtures("in_process"),
    pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning"),
]


@pytest.mark.parametrize("variant", drivers.VARIANTS)
def test_of_eight_drivers_one_goes_on(variant: str, tmp_path: Path, expected: Undisturbed) -> None:
    assert drivers.VARIANTS[variant](tmp_path / "tiny", 8) == []


@pytest.mark.parametrize("phase", [2, 4, 6])
def test_a_late_owner_changes_nothing(phase: int, tmp_path: Path, expected: Undisturbed) -> None:
    """Frozen while it trains, fits, or reports, and woken when another has finished the study."""

    def take_over() -> list[str]:
        return in_child(lambda: wrong_afterwards(tmp_path, expected), ["died"])

    assert drivers.wake_late(tmp_path / "tiny", phase, take_over) == []
