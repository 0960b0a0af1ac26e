"""Energy of a run: read from the processor's counters where the machine has them, else estimated and said so."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

EnergySource = Literal["measured", "estimate"]
RAPL = Path("/sys/class/powercap")
WATTS_PER_CORE = 10.0
"""Estimate for a busy server core with its share of the package and memory; an assumption, not a measurement."""
JOULES_PER_KWH = 3.6e6


class EnergyMeter:
    """Energy between its making and `read`, for a run with `threads` of the `busy_threads` at work here."""

    def __init__(self, threads: int, busy_threads: int, rapl: Path = RAPL) -> None:
        self.threads, self.busy_threads, self.rapl = threads, busy_threads, rapl
        self.start = self._joules()

    def read(self, seconds: float) -> tuple[float, EnergySource]:
        """Energy in kWh and `measured` (the run's share of the package) or `estimate`."""
        end = self._joules()
        if self.start is not None and end is not None and end >= self.start:
            return (end - self.start) * self.threads / self.busy_threads / JOULES_PER_KWH, "measured"
        return seconds * self.threads * WATTS_PER_CORE / JOULES_PER_KWH, "estimate"

    def _joules(self) -> float | None:
        try:
            counters = [int(path.read_text()) for path in self.rapl.glob("intel-rapl:[0-9]/energy_uj")]
        except (OSError, ValueError):
            return None
        return sum(counters) / 1e6 if counters else None
