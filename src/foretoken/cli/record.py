"""`foretoken record`: the result of a run that was started by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from foretoken.cli.options import FolderOption, JsonOption, SeedOption, StudyArgument, load
from foretoken.cli.printing import print_json, print_text

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="The key of a planned run, or how it begins.")]
LossOption = Annotated[
    float | None, typer.Option("--loss", help="Its loss, nats per token; nan or inf where it diverged.")
]
LossSeOption = Annotated[float | None, typer.Option("--loss-se", help="The standard error of the loss.")]
ResultOption = Annotated[
    Path | None,
    typer.Option(
        "--result", metavar="FILE", help="What its command left, read as the study file says, in place of --loss."
    ),
]
SecondsOption = Annotated[float | None, typer.Option("--seconds", help="What it took.")]
DeviceOption = Annotated[str, typer.Option("--device", help="What it ran on.")]


def record(
    study: StudyArgument,
    run: RunArgument,
    loss: LossOption = None,
    loss_se: LossSeOption = None,
    result: ResultOption = None,
    seconds: SecondsOption = None,
    device: DeviceOption = "",
    seed: SeedOption = None,
    folder: FolderOption = None,
    json: JsonOption = False,
) -> None:
    """Bring home the result of a run of your own trainer that you have started by hand.

    `foretoken design STUDY --csv` lists the runs; `foretoken run STUDY` goes on with what is recorded.

    Example: foretoken record own.toml 561a3932 --loss 3.127
    """
    from foretoken.study.by_hand import record as keep

    kept = keep(
        load(study, seed),
        run,
        loss=loss,
        loss_se=loss_se,
        result=result,
        seconds=seconds,
        device=device,
        folder=folder,
    )
    if json:
        print_json(kept.to_json())
    else:
        told = f"loss {kept.loss:.4f}" if kept.loss is not None else kept.status
        print_text(f"recorded {kept.spec.key} ({kept.spec.group}): {told}")
