"""kill -9 of real processes at each kind of place; benchmarks/faults.py does it fifty times."""

from __future__ import annotations

import random
from pathlib import Path

from .kills import Campaign
from .sweep import Undisturbed


def test_a_killed_study_goes_on_where_it_was(tmp_path: Path, expected: Undisturbed) -> None:
    campaign = Campaign(tmp_path, random.Random(0), expected.digest, workers=1)
    plan = [("worker", "step"), ("driver", "checkpoint"), ("group", "cooldown")]
    campaign.run(plan)
    assert campaign.kills == plan
    assert campaign.wrong == []
