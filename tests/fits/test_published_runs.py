"""What papers published, derived again from their public runs: every number of benchmarks/published.py is met."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


def load() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "published.py"
    spec = importlib.util.spec_from_file_location("published_benchmark", path)
    assert spec
    assert spec.loader
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PUBLISHED = load()


@pytest.mark.parametrize("section", PUBLISHED.SECTIONS)
def test_published_numbers_come_out_of_published_runs(section: str, scaling_data: Path) -> None:
    found = PUBLISHED.SECTIONS[section](scaling_data)
    assert found
    missed = [f"{one.what}: {one.measured:.6g}, not {one.asked:.6g}" for one in found if not one.met]
    assert not missed


def test_the_steps_from_kaplan_to_chinchilla_fall_and_show_the_parabola_beside_them(scaling_data: Path) -> None:
    for dataset in PUBLISHED.PUBLISHED_EXPONENTS:
        steps = PUBLISHED.porian_steps(scaling_data, dataset)
        assert all(step.change < 0 for step in steps[1:])
        assert all(step.parabola is not None and step.interval[0] < step.exponent < step.interval[1] for step in steps)
        assert [step.of_budgets - step.budgets for step in steps] == [0, 1, 0, 0, 0]


def test_simulated_repetition_needs_no_public_table() -> None:
    found = PUBLISHED.simulated_repetition(5.0, seed=99).profile()
    assert found.identified
    assert found.flat[0] < found.flat[1]
