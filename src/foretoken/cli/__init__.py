"""The command line: one file per verb. Exit codes: 0 done, 1 a run or check failed, 2 user error, 130 interrupted."""

from __future__ import annotations

import gc
import inspect
import shlex
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from foretoken._version import __version__
from foretoken.cli.approaches import approaches
from foretoken.cli.backtest import backtest
from foretoken.cli.cite import cite
from foretoken.cli.compare import compare
from foretoken.cli.continue_training import continue_training
from foretoken.cli.count import count
from foretoken.cli.design import design
from foretoken.cli.diagnose import diagnose
from foretoken.cli.downstream import downstream
from foretoken.cli.evaluate import evaluate
from foretoken.cli.fill_mask import fill_mask, infill
from foretoken.cli.finetune import finetune
from foretoken.cli.fit import fit
from foretoken.cli.init import init
from foretoken.cli.laws import laws
from foretoken.cli.ledger import ledger
from foretoken.cli.models import models
from foretoken.cli.next_run import next
from foretoken.cli.options import typed_command
from foretoken.cli.pause import pause
from foretoken.cli.plan import plan
from foretoken.cli.predict import predict
from foretoken.cli.profile import profile
from foretoken.cli.prune import prune
from foretoken.cli.record import record
from foretoken.cli.report import report
from foretoken.cli.run import run
from foretoken.cli.sample import sample
from foretoken.cli.score import score
from foretoken.cli.scores import scores
from foretoken.cli.status import status
from foretoken.cli.tail import tail
from foretoken.cli.telling import QuietOption, VerboseOption, set_loudness, tells
from foretoken.cli.tokenizer import tokenizer
from foretoken.cli.trends import trends
from foretoken.cli.verify import verify
from foretoken.cli.versus import versus
from foretoken.errors import ForetokenError, for_command_line
from foretoken.escapes import in_one_line


class Verbs(TyperGroup):
    """The verbs. What the parser says of a word that it does not know steers no terminal."""

    def invoke(self, ctx: Any) -> Any:
        """Parse and run a verb."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            if hasattr(error, "format_message") and hasattr(error, "message"):  # of the parser, whose base has no name
                error.message = in_one_line(error.message)
            raise


app = typer.Typer(
    name="foretoken",
    cls=Verbs,
    help="Know what a training run will give before you pay for it: small runs -> laws -> a forecast of the big run.",
    epilog="Start with: foretoken fit sample, or foretoken run quickstart (which trains, in minutes)",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def begun(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Know what a training run will give before you pay for it: small runs -> laws -> a forecast of the big run."""
    context.with_resource(for_command_line())
    if version:
        typer.echo(f"foretoken {__version__}")
        raise typer.Exit
    set_loudness(quiet, verbose)


STUDIES, TABLES, PLANS = "Studies", "Laws and forecasts, from a table of runs", "Plans"
REFERENCE, MODELS = "What is known", "Models and text"
PANELS: dict[str, tuple[Callable[..., None], ...]] = {
    STUDIES: (init, design, run, pause, record, status, verify, prune, report, profile),
    TABLES: (fit, predict, diagnose, backtest, approaches, scores, downstream, tail),
    PLANS: (plan, versus, next, compare),
    REFERENCE: (laws, cite, models, trends),
    MODELS: (count, sample, fill_mask, infill, evaluate, score, finetune, continue_training),
}
"""The verbs, under the headings of the help."""
for panel, verbs in PANELS.items():
    for verb in verbs:
        words, _, example = inspect.cleandoc(verb.__doc__ or "").partition("Example: ")
        command = app.command(help=words.strip(), epilog=f"Example: {example.strip()}", rich_help_panel=panel)
        command(tells(verb))
for group, name, panel in ((ledger, "ledger", TABLES), (tokenizer, "tokenizer", MODELS)):
    for one in group.registered_commands:
        one.callback = one.callback and tells(one.callback)
    app.add_typer(group, name=name, rich_help_panel=panel)


def main() -> None:
    """Run the command line; errors of the user become one message and exit code 2."""
    typed_command.set(shlex.join(["foretoken", *sys.argv[1:]]))
    gc.set_threshold(100_000)  # thousands of records are many small objects and no garbage
    try:
        app()
    except (ForetokenError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
