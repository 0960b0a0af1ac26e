from __future__ import annotations

from pathlib import Path

from foretoken.compute.energy import WATTS_PER_CORE, EnergyMeter


def counter(folder: Path, joules: float) -> None:
    (folder / "intel-rapl:0").mkdir(exist_ok=True)
    (folder / "intel-rapl:0" / "energy_uj").write_text(str(int(joules * 1e6)))


def test_a_counter_is_shared_among_the_busy_threads(tmp_path: Path) -> None:
    counter(tmp_path, 1000.0)
    meter = EnergyMeter(threads=1, busy_threads=2, rapl=tmp_path)
    counter(tmp_path, 1000.0 + 7.2e6)
    assert meter.read(seconds=1.0) == (1.0, "measured")


def test_without_a_counter_it_is_an_estimate_and_says_so(tmp_path: Path) -> None:
    kwh, source = EnergyMeter(threads=2, busy_threads=2, rapl=tmp_path).read(seconds=3600.0)
    assert (kwh, source) == (2 * WATTS_PER_CORE / 1000, "estimate")


def test_a_counter_that_wrapped_is_not_believed(tmp_path: Path) -> None:
    counter(tmp_path, 1000.0)
    meter = EnergyMeter(threads=1, busy_threads=1, rapl=tmp_path)
    counter(tmp_path, 10.0)
    assert meter.read(seconds=3600.0)[1] == "estimate"
