"""The live listener of a study: a table of runs on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from foretoken.escapes import for_terminal, in_one_line
from foretoken.runs.record import RunRecord
from foretoken.runs.spec import RunSpec
from foretoken.study.progress import ProgressListener
from foretoken.units import format_count, format_duration

LINE_SECONDS = 15.0
"""Time between two plain lines on progress."""


def listener_for_terminal(quiet: bool) -> ProgressListener:
    """The listener that fits where the output goes: silent, live or plain."""
    from rich.console import Console

    if quiet:
        return ProgressListener()
    console = Console(stderr=True)
    return LiveListener(console) if console.is_terminal else PlainListener()


class _Board:
    """What is known of the runs under way: shared by both views."""

    def __init__(self, runs: Sequence[RunSpec] = (), seconds: Mapping[str, float] | None = None) -> None:
        self.specs = {run.key: run for run in runs}
        self.seconds = {key: value for key, value in (seconds or {}).items() if key in self.specs}
        self.steps: dict[str, tuple[int, int]] = {}
        self.losses: dict[str, float | None] = {}
        self.silent: dict[str, float] = {}
        """Seconds for which a run has said nothing, many times as long as its step."""
        self.records: dict[str, RunRecord] = {}
        self.began = time.monotonic()

    def share_done(self) -> float:
        """Share of the estimated time that is behind us."""
        total = sum(self.seconds.values())
        return sum(self.seconds[key] * self._done(key) for key in self.seconds) / total if total else 1.0

    def _done(self, key: str) -> float:
        if key in self.records:
            return 1.0
        step, steps = self.steps.get(key, (0, 1))
        return step / steps

    def step(self, key: str, step: int, steps: int, loss: float | None) -> None:
        """A run is at this step."""
        self.steps[key], self.losses[key] = (step, steps), loss
        self.silent.pop(key, None)

    def end(self, record: RunRecord) -> None:
        """A run has its record."""
        self.records[record.spec.key] = record
        self.silent.pop(record.spec.key, None)

    def line(self) -> str:
        """How far all is, in a line; it names the runs that are silent."""
        done = f"{len(self.records)} of {len(self.specs)} runs done"
        silent = [
            f"; silent for {format_duration(seconds)}: {_size(self.specs[key])}"
            for key, seconds in self.silent.items()
            if key in self.specs
        ]
        return f"{100 * self.share_done():.0f} %, {done}, about {self.eta()} left{''.join(silent)}"

    def eta(self) -> str:
        """Time left, from the pace so far."""
        share, passed = self.share_done(), time.monotonic() - self.began
        # Before a fiftieth is done and 3 seconds have passed, the pace is that of starting up.
        return format_duration(passed * (1 - share) / share) if share > 0.02 and passed > 3 else "..."


class PlainListener(ProgressListener):
    """One line per finished run and now and then one on progress."""

    def __init__(self) -> None:
        self.board, self.printed_at = _Board(), time.monotonic()

    def phase(self, text: str) -> None:
        _say(text)

    def note(self, text: str) -> None:
        _say(f"note: {text}")

    def training(self, runs: list[RunSpec], seconds: dict[str, float]) -> None:
        self.board = _Board(runs, seconds)
        _say(f"{len(runs)} runs to train")

    def progress(self, key: str, step: int, steps: int, loss: float | None) -> None:
        self.board.step(key, step, steps, loss)
        self._say_progress()

    def silent(self, key: str, seconds: float) -> None:
        self.board.silent[key] = seconds
        self._say_progress()

    def ended(self, record: RunRecord) -> None:
        self.board.end(record)
        _say(_line(record))

    def _say_progress(self) -> None:
        if time.monotonic() - self.printed_at > LINE_SECONDS:
            self.printed_at = time.monotonic()
            _say(self.board.line())


class LiveListener(ProgressListener):
    """A table of all runs that changes in place."""

    def __init__(self, console: Any) -> None:
        from rich.live import Live

        self.board, self.console, self.text = _Board(), console, ""
        self.live = Live(console=console, refresh_per_second=4, get_renderable=self._render)
        self.live.start()

    def phase(self, text: str) -> None:
        self.text = text

    def note(self, text: str) -> None:
        self.console.print(f"note: {for_terminal(text)}", markup=False, highlight=False)

    def training(self, runs: list[RunSpec], seconds: dict[str, float]) -> None:
        self.board = _Board(runs, seconds)

    def progress(self, key: str, step: int, steps: int, loss: float | None) -> None:
        self.board.step(key, step, steps, loss)

    def silent(self, key: str, seconds: float) -> None:
        self.board.silent[key] = seconds

    def ended(self, record: RunRecord) -> None:
        self.board.end(record)

    def close(self) -> None:
        self.live.stop()

    def _render(self) -> Any:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        board = self.board
        head = f"{self.text}: {100 * board.share_done():.0f} %, about {board.eta()} left" if board.specs else self.text
        table = Table("group", "parameters", "tokens", "progress", "loss", "", box=None, pad_edge=False)
        for key in list(board.specs)[: max(5, self.console.height - 4)]:
            table.add_row(*self._cells(key))
        return Group(Text(for_terminal(head), style="bold"), table if board.specs else Text(""))

    def _cells(self, key: str) -> list[Any]:
        from rich.progress_bar import ProgressBar

        spec, record = self.board.specs[key], self.board.records.get(key)
        step, steps = self.board.steps.get(key, (0, spec.steps))
        loss, silent = record.loss if record else self.board.losses.get(key), self.board.silent.get(key)
        under_way = f"silent for {format_duration(silent)}" if silent else "running" if step else "waiting"
        return [
            in_one_line(spec.group),
            format_count(spec.parameters.total),
            format_count(spec.tokens),
            ProgressBar(total=steps, completed=steps if record else step, width=20),
            f"{loss:.3f}" if loss is not None else "",
            record.status if record else under_way,
        ]


def _line(record: RunRecord) -> str:
    why = f": {(record.error.strip().splitlines() or [''])[0][:200]}" if record.error and record.spec.trainer else ""
    result = f"loss {record.loss:.4f} in {format_duration(record.seconds)}" if record.loss else f"{record.status}{why}"
    return f"{_size(record.spec)}: {result}"


def _size(spec: RunSpec) -> str:
    return f"{spec.group}: {format_count(spec.parameters.total)} parameters, {format_count(spec.tokens)} tokens"


def _say(text: str) -> None:
    print(time.strftime("%H:%M:%S"), for_terminal(text), file=sys.stderr, flush=True)
