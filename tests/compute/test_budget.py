from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.compute.accelerator_file import read_accelerators
from foretoken.compute.budget import parse_budget
from foretoken.errors import ForetokenError

HOUR = 3600.0


@pytest.mark.parametrize(
    ("text", "flops"),
    [("5.76e23", 5.76e23), (5.76e23, 5.76e23), ("1e24 FLOP", 1e24), ("3640 PF-days", 3640 * 8.64e19),
     ("2 EF-days", 1.728e23), ("5 ZFLOP", 5e21), (10**24, 1e24)],
)  # fmt: skip
def test_plain_compute_assumes_nothing(text: str | float, flops: float) -> None:
    budget = parse_budget(text)
    assert budget.flops == pytest.approx(flops)
    assert (budget.machine, budget.assumed, budget.cost, budget.days) == (None, (), None, None)


@pytest.mark.parametrize(
    ("text", "hours", "count", "name"),
    [("512 H100 for 30 days", 512 * 720, 512, "H100 SXM"), ("1e6 H100-hours", 1e6, None, "H100 SXM"),
     ("1M H100 hours", 1e6, None, "H100 SXM"), ("40k A100-days", 960_000, None, "A100 SXM 80 GB"),
     ("1 RTX 4090 for 3 days", 72, 1, "RTX 4090"), ("8xA100 for 2 weeks", 8 * 336, 8, "A100 SXM 80 GB"),
     ("1,024 TPU v4 for 50 d", 1024 * 1200, 1024, "TPU v4 chip"), ("2 4090 for 12 h", 24, 2, "RTX 4090"),
     ("512xH100 30d", 512 * 720, 512, "H100 SXM"), ("512 H100, 30 days", 512 * 720, 512, "H100 SXM"),
     ("512xH100x30d", 512 * 720, 512, "H100 SXM"), ("8 H100 for a month", 8 * 730.5, 8, "H100 SXM"),
     ("a week on 64 H100s", 64 * 168, 64, "H100 SXM"), ("30 days of 4 H100 GPUs", 2880, 4, "H100 SXM"),
     ("half a year of 2 H100", 8766, 2, "H100 SXM"), ("1k GPU-hours of H100", 1000, None, "H100 SXM"),
     ("1k RTX 4090 days", 24_000, None, "RTX 4090"), ("2 RTX 4090 12h", 24, 2, "RTX 4090"),
     ("64 TPU v4 chips for a day", 64 * 24, 64, "TPU v4 chip")],
)  # fmt: skip
def test_accelerators_for_a_time(text: str, hours: float, count: float | None, name: str) -> None:
    budget = parse_budget(text, mfu=0.4)
    assert budget.machine
    assert (budget.accelerator_hours, budget.count, budget.machine.accelerator.name) == (hours, count, name)
    assert budget.flops == pytest.approx(hours * HOUR * 0.4 * budget.machine.need("peak"))


@pytest.mark.parametrize("text", ["$2M of H100", "2M USD on H100", "$2,000,000 of h100", "2 million $ on H100 SXM"])
def test_dollars(text: str) -> None:
    budget = parse_budget(text, mfu=0.4)
    assert budget.accelerator_hours == pytest.approx(2e6 / 2.95)
    assert budget.cost
    assert budget.cost.usd == pytest.approx(2e6)
    assert parse_budget("$2M", accelerator="H100", mfu=0.4).flops == budget.flops
    assert parse_budget(text, usd_per_hour=1.475).accelerator_hours == pytest.approx(2 * 2e6 / 2.95)


def test_what_was_assumed_is_said() -> None:
    names = {item.name: item for item in parse_budget("1 RTX 4090 for 3 days").assumed}
    assert names["mfu"].value == 0.30
    assert "assumed" in names["mfu"].source
    assert names["peak"].value == 165.2e12
    assert parse_budget("1 RTX 4090 for 3 days", params=1e7).flops < parse_budget("1 RTX 4090 for 3 days").flops


def test_gpt3_in_its_own_units() -> None:
    """Brown et al. 2020, table D.1: 3,640 PF-days are 3.14e23 FLOP."""
    assert parse_budget("3640 PF-days").flops == pytest.approx(3.14e23, rel=0.002)


def test_compute_on_a_machine_has_hours_and_a_price() -> None:
    budget = parse_budget("1e24 FLOP", accelerator="A100", count=1024, mfu=0.5)
    assert budget.accelerator_hours == pytest.approx(1.78e6, rel=0.001)
    assert budget.days == pytest.approx(1.78e6 / 1024 / 24, rel=0.001)
    assert budget.cost
    assert budget.cost.kwh == pytest.approx(1.78e6 * 0.4 * 1.1, rel=0.001)


def test_a_time_alone_is_that_of_the_accelerators_that_are_said() -> None:
    said = parse_budget("a month", accelerator="H100", count=512)
    assert said.flops == parse_budget("512 H100 for a month").flops
    assert (said.count, said.days) == (512, pytest.approx(730.5 / 24))


def test_prices_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[accelerator.h100_sxm]\nprice = 1.0\n")
    budget = parse_budget("$100 of H100", known=read_accelerators(tmp_path / "mine.toml"))
    assert budget.accelerator_hours == 100


@settings(deadline=None)
@given(count=st.integers(1, 10_000), days=st.floats(0.01, 1000), mfu=st.floats(0.01, 1))
def test_the_ways_to_say_it_agree(count: int, days: float, mfu: float) -> None:
    first = parse_budget(f"{count} H100 for {days} days", mfu=mfu)
    hours = parse_budget(f"{count * days * 24:.17g} H100-hours", mfu=mfu)
    dollars = parse_budget(f"${count * days * 24 * 2.95:.17g} of H100", mfu=mfu)
    assert first.flops == pytest.approx(hours.flops) == pytest.approx(dollars.flops)
    assert first.days == pytest.approx(days)


@pytest.mark.parametrize(
    ("text", "values", "says"),
    [
        ("5 H100", {}, "without a time"), ("a month", {}, "a time is no budget without accelerators"),
        ("2 H10 30d", {}, "nearest known"), ("1 H100 for 3", {}, "with one of these units"),
        ("$2M", {}, "needs an accelerator"), ("1 X9000 for 3 days", {}, "nearest known"),
        ("7 bananas", {}, "unknown accelerator"), ("", {}, "one of these forms"), ("plenty", {}, "one of these forms"),
        ("-5", {}, "above 0"), ("1e400", {}, "above 0"), ("nan", {}, "one of these forms"),
        ("0 H100 for 3 days", {}, "above 0"), ("5 H100 for -3 days", {}, "above 0"), ("$-2 of H100", {}, "above 0"),
        ("-$2 of H100", {}, "above 0"), ("1 H100 for 1 day", {"mfu": 1.2}, "at most 1"),
        ("1e24", {"mfu": 1.2}, "at most 1"), ("1 H100 for 1 day", {"usd_per_hour": -1}, "above 0"),
        ("$2 of TPU v5e", {}, "usd_per_hour"), ("1e24", {"count": -1}, "above 0"),
        ("1e24", {"accelerator": "X9000"}, "nearest known"), ("1" * 200, {}, "too long"),
        ("1e300 H100 for 1e300 days", {}, "above 0"), (True, {}, "number"),
    ],
)  # fmt: skip
def test_what_is_no_budget(text: str, values: dict[str, Any], says: str) -> None:
    with pytest.raises(ForetokenError, match=says):
        parse_budget(text, **values)
