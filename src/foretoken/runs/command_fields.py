"""What a command of the user's may take of a run: the fields of its spec, of its shape, and of its size."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from foretoken.compute.shape_fields import ShapeFields
from foretoken.runs.command import Value, names
from foretoken.runs.spec import RunSpec

SHAPE = [field.name for field in fields(ShapeFields)]
RECIPE = (
    "tokens",
    "batch_tokens",
    "learning_rate",
    "warmup_tokens",
    "schedule",
    "cooldown",
    "final_learning_rate_share",
    "weight_decay",
    "beta1",
    "beta2",
    "clip",
    "dropout",
    "precision",
    "seed",
    "eval_tokens",
    "group",
)
COUNTED = ("params", "steps", "flops")
PLACE = ("folder", "run", "resume", "gpus")
"""Where the run is, which it is, and what it goes on from."""
FIELDS = [*SHAPE, *RECIPE, *COUNTED, *PLACE]
"""Fields that every command may have; those of its sizes come on top."""


def values(run: RunSpec, folder: Path, gpus: float = 0) -> dict[str, Value]:
    """The value of each field, in the units of the spec; `folder` is where the run's result is to lie."""
    given = run.trainer.given if run.trainer else {}
    return {
        **{name: getattr(run.shape, name) for name in SHAPE},
        **{name: getattr(run, name) for name in RECIPE},
        **given,
        "params": run.parameters.total,
        "steps": run.steps,
        "flops": run.flops,
        "folder": str(folder),
        "run": run.key,
        "gpus": int(gpus) if gpus == int(gpus) else gpus,
    }


def untold(run: RunSpec) -> set[str]:
    """The columns of the run table on which nothing is known: what an own trainer was neither given nor counted by."""
    own = run.trainer
    if own is None:
        return set()
    told = names(own.command) | set(own.given)
    counted = set(SHAPE) if own.params is None else set()
    of_groups = set() if own.params is None else {"params_embedding", "params_head"}
    columns = {*SHAPE, *RECIPE, "steps"} - {"tokens", "group"}
    return (
        (columns - told - counted) | of_groups | {"family", "objective", "corpus", "tokenizer", "annealed", "threads"}
    )
