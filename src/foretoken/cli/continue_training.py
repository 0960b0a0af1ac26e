"""`foretoken continue-training`: train a model further on a text."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from foretoken.cli.model_options import (
    ColumnOption,
    ContextOption,
    EncodingOption,
    ObjectiveOption,
    RunOption,
    SourceArgument,
    TextArgument,
    print_positions,
)
from foretoken.cli.options import JsonOption
from foretoken.cli.printing import print_json, print_text
from foretoken.cli.telling import say, wrote
from foretoken.errors import needing
from foretoken.interrupts import INTERRUPTED
from foretoken.units import format_count, format_duration, parse_count

if TYPE_CHECKING:
    from foretoken.evals import ContinuedTraining

ValidationShareOption = Annotated[
    float, typer.Option("--validation-share", help="Share of the documents that is held out.")
]
SeedOption = Annotated[int, typer.Option(help="Seed of the order of the text.")]
LearningRateOption = Annotated[float, typer.Option("--learning-rate", help="Its peak; it warms up and decays to 0.")]
LINE_SECONDS = 5.0
"""Time between two progress lines."""


def continue_training(
    source: SourceArgument,
    text: TextArgument,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FOLDER", help="A new folder for the model.")],
    tokens: Annotated[str, typer.Option(help="Positions to train on: 2M, 1e9.")],
    learning_rate: LearningRateOption = 1e-4,
    batch_tokens: Annotated[int, typer.Option("--batch-tokens", help="Positions in a step.")] = 16_384,
    validation_share: ValidationShareOption = 0.05,
    repeat: Annotated[bool, typer.Option("--repeat", help="Read the text more than once where it is short.")] = False,
    precision: Annotated[str, typer.Option(help="float32 or bfloat16.")] = "float32",
    threads: Annotated[int, typer.Option(help="Threads; 0 for as many as torch takes.")] = 0,
    seed: SeedOption = 0,
    context: ContextOption = None,
    objective: ObjectiveOption = "",
    column: ColumnOption = "text",
    encoding: EncodingOption = "utf-8",
    run: RunOption = None,
    json: JsonOption = False,
) -> None:
    """Train a model further on a text, and write it into a new folder; rerun the same command to resume.

    Example: foretoken continue-training my_model my_texts/ -o further --tokens 4k --batch-tokens 256 --context 32
    """
    with needing("training"):
        from foretoken import evals
        from foretoken.training.torch_setup import keep_memory
    keep_memory()
    with _stopped_by_signals() as stopped:
        result = evals.continue_training(
            source,
            text,
            output,
            tokens=parse_count(tokens),
            learning_rate=learning_rate,
            batch_tokens=batch_tokens,
            validation_share=validation_share,
            repeat=repeat,
            precision=cast("evals.Precision", precision),
            threads=threads,
            seed=seed,
            context=context,
            column=column,
            encoding=encoding,
            run=run,
            objective=objective or None,
            report=_ProgressLines(),
            should_stop=stopped.is_set,
        )
    wrote(result.folder)
    _print(result, json)


def _print(result: ContinuedTraining, json: bool) -> None:
    if json:
        print_json(result.to_json())
    else:
        show(result)


def show(result: ContinuedTraining) -> None:
    """Print what more training did."""
    before, after = result.before, result.after
    change, error = after.change_from(before)
    print_text(f"{format_count(result.spec.tokens)} tokens in {format_duration(result.seconds)}, on held-out text:")
    print_text(f"  loss before  {before.loss:.4f} ± {before.loss_se:.4f}")
    print_text(f"  loss after   {after.loss:.4f} ± {after.loss_se:.4f}")
    print_text(f"  change       {change:+.4f} ± {error:.4f}")
    if after.label_loss is not None and before.label_loss is not None:
        print_text(f"  loss of labels  {before.label_loss:.4f} before, {after.label_loss:.4f} after")
    print_positions({"before": before.by_position, "after": after.by_position})


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C or a request to end sets, so that the training saves before it stops; a second ends it."""
    stopped = threading.Event()

    def request_stop(*_: object) -> None:
        if stopped.is_set():
            raise KeyboardInterrupt
        stopped.set()
        _print_progress("stopping after this step; again to stop at once")

    handlers = {name: signal.signal(name, request_stop) for name in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    except KeyboardInterrupt:
        say("stopped; rerun the same command to resume from the last checkpoint")
        raise typer.Exit(INTERRUPTED) from None
    finally:
        for name, handler in handlers.items():
            signal.signal(name, handler)


class _ProgressLines:
    """Prints a line on standard error every few seconds: step, loss, and the time that is left."""

    def __init__(self) -> None:
        self.began = self.printed_at = 0.0
        self.first_step = 0

    def __call__(self, step: int, steps: int, loss: float) -> None:
        now = time.monotonic()
        if not self.first_step:
            self.began, self.printed_at, self.first_step = now, now, step
        elif now - self.printed_at >= LINE_SECONDS:
            self.printed_at = now
            left = format_duration((now - self.began) / (step - self.first_step) * (steps - step))
            _print_progress(f"step {step} of {steps}, loss {loss:.3f}, about {left} left")


def _print_progress(text: str) -> None:
    """A line on standard error, which may be closed."""
    with contextlib.suppress(OSError):
        say(text)
