"""`foretoken continue-training`: train a model further on a text."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foretoken.cli.evaluate import ColumnOption, ContextOption, ObjectiveOption, TextArgument, show_places
from foretoken.cli.options import JsonOption, needing_torch, print_json
from foretoken.cli.run import INTERRUPTED
from foretoken.cli.sample import RunOption, SourceArgument
from foretoken.units import format_count, format_duration, parse_count

if TYPE_CHECKING:
    from foretoken.evals import Continued

LINE_SECONDS = 5.0
"""Time between two lines on progress."""


def continue_training(
    source: SourceArgument,
    text: TextArgument,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FOLDER", help="A new folder for the model.")],
    tokens: Annotated[str, typer.Option(help="Positions to train on: 2M, 1e9.")],
    learning_rate: Annotated[float, typer.Option("--learning-rate", help="Peak; it warms up and decays to 0.")] = 1e-4,
    batch_tokens: Annotated[int, typer.Option("--batch-tokens", help="Positions of a step.")] = 16_384,
    validation_share: Annotated[
        float, typer.Option("--validation-share", help="Share of the documents that is held out.")
    ] = 0.05,
    repeat: Annotated[bool, typer.Option("--repeat", help="Read the text more than once where it is short.")] = False,
    precision: Annotated[str, typer.Option(help="float32 or bfloat16.")] = "float32",
    threads: Annotated[int, typer.Option(help="0 for as many as torch takes.")] = 0,
    seed: Annotated[int, typer.Option(help="Of the order of the text.")] = 0,
    context: ContextOption = None,
    objective: ObjectiveOption = "",
    column: ColumnOption = "text",
    run: RunOption = None,
    json: JsonOption = False,
) -> None:
    """Train a model further on a text, and write it into a new folder; stopped, the same command goes on.

    Example: foretoken continue-training my_model my_texts/ -o further --tokens 4k --batch-tokens 256 --context 32
    """
    with needing_torch("training"):
        from foretoken.evals import Choices
        from foretoken.evals import continue_training as go_on
        from foretoken.training.torch_setup import keep_memory
    keep_memory()
    choices = Choices(
        learning_rate=learning_rate, batch_tokens=batch_tokens, validation_share=validation_share, repeat=repeat,
        precision=precision, threads=threads, seed=seed,
    )  # fmt: skip
    try:
        with _stopped_by_signals() as stopped:
            found = go_on(
                source, text, output, tokens=parse_count(tokens), choices=choices, context=context, column=column,
                run=run, objective=objective or None, report=_Teller(), stop=stopped.is_set,
            )  # fmt: skip
    except KeyboardInterrupt:
        typer.echo("stopped; the same command goes on from the last checkpoint", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if json:
        print_json(found.to_json())
    else:
        _show(found)


def _show(found: Continued) -> None:
    change, error = found.after.change_from(found.before)
    typer.echo(f"{format_count(found.spec.tokens)} tokens in {format_duration(found.seconds)}, on what was held out:")
    typer.echo(f"  loss before  {found.before.loss:.4f} ± {found.before.loss_se:.4f}")
    typer.echo(f"  loss after   {found.after.loss:.4f} ± {found.after.loss_se:.4f}")
    typer.echo(f"  change       {change:+.4f} ± {error:.4f}")
    if found.after.label_loss is not None and found.before.label_loss is not None:
        typer.echo(f"  loss of labels  {found.before.label_loss:.4f} before, {found.after.label_loss:.4f} after")
    show_places({"before": found.before.by_position, "after": found.after.by_position})
    typer.echo(f"wrote {found.folder}")


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    """Set by Ctrl-C or a request to end, for the training to save before it stops; a second one ends it at once."""
    stopped = threading.Event()

    def ask(*_: object) -> None:
        if stopped.is_set():
            raise KeyboardInterrupt
        stopped.set()
        _tell("stopping after this step; again to stop at once")

    before = {name: signal.signal(name, ask) for name in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


class _Teller:
    """Says now and then, on standard error, how far the training is."""

    def __init__(self) -> None:
        self.began = self.last = 0.0
        self.first = 0

    def __call__(self, step: int, steps: int, loss: float) -> None:
        now = time.monotonic()
        if not self.first:
            self.began, self.last, self.first = now, now, step
        elif now - self.last >= LINE_SECONDS:
            self.last = now
            left = format_duration((now - self.began) / (step - self.first) * (steps - step))
            _tell(f"step {step} of {steps}, loss {loss:.3f}, about {left} left")


def _tell(text: str) -> None:
    """A line on standard error; nobody may be there to read it."""
    with contextlib.suppress(OSError):
        typer.echo(text, err=True)
