"""[trainer] of a study file: a command of the user's that trains a run, and where it leaves the result."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from foretoken.errors import ForetokenError
from foretoken.runs.command import check_names, names
from foretoken.runs.command_fields import FIELDS, PLACE
from foretoken.runs.section import AS_WRITTEN, Section, mistake
from foretoken.units import parse_count

Given = dict[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=64)], int | float | str]


def _read_size(size: Given) -> Given:
    """A size with its counts as numbers: "70M" parameters are 70 million."""
    read = dict(size)
    for name, unit in (("params", "parameters"), ("flops_per_token", "FLOP")):
        if name in read:
            try:
                read[name] = float(parse_count(read[name], name))
            except ForetokenError as error:
                raise mistake(error) from error
            if not 1 <= float(read[name]) <= 1e18:
                raise ValueError(f"{name}: {read[name]:g} {unit}")
    if not size:
        raise ValueError("a size gives `params`, or `width` and the other fields of a shape")
    return read


Size = Annotated[Given, AfterValidator(_read_size)]
"""What is given of one size."""
HELD_OUT = ("eval_loss", "val_loss", "validation_loss", "test_loss", "eval/loss", "val/loss", "validation/loss")
"""Names of a loss on held-out data, which is meant where a training loss stands beside it."""
RESULT_NAMES = {
    "loss": (*HELD_OUT, "loss"),
    "loss_se": ("loss_se", "loss_stderr", "val_loss_se", "eval_loss_se"),
    "train_loss": ("train_loss", "train/loss", "training_loss", "loss"),
    "tokens": ("tokens", "tokens_seen", "consumed_tokens", "n_tokens", "train/tokens"),
    "step": ("step", "global_step", "iteration", "iter", "steps", "_step", "train/global_step"),
    "seconds": ("seconds", "train_runtime", "runtime", "elapsed"),
    "device": ("device", "gpu"),
}
"""Names of ours, and those by which they go in results, the likeliest first."""
GROUPS = ("step", "steps", "tokens", "loss")
"""Groups that the pattern of progress may have."""


class TrainerSection(Section):
    """A command of the user's that trains each run, in place of foretoken's own loop."""

    command: str
    """With fields of the run in braces: `python train.py --dim {width} --lr {learning_rate} --out {folder}`. It runs in
    the folder of the study file, without a shell."""
    result: str = "result.json"
    """The file in {folder} that it leaves its loss in, or the folder of a tracker."""
    map: dict[str, str] = Field(default={}, max_length=20)
    """Our names and those of the result: { loss = "eval/loss" }."""
    code: list[str] = Field(default=[], max_length=1000)
    """Files, folders and patterns beside the study file that the result depends on: other contents are other runs."""
    sizes: list[Size] = Field(default=[], max_length=1000)
    """The sizes that there are, each with what the command needs of it: [{ width = 256, layers = 4 }, ...]."""
    vocabulary: int = Field(default=0, ge=0, le=10_000_000)
    """Tokens of the networks; 0 counts parameters without embeddings and head."""
    checkpoint: str = ""
    """A pattern of what is saved in {folder}: there a run goes on from, and what is deleted at its end unless
    launch.keep_weights keeps it."""
    resume: str = ""
    """What stands for {resume} where there is a checkpoint; nothing does where there is none."""
    progress: str = ""
    """A regular expression for a printed line, with groups named step, steps, tokens, loss."""
    retries: int = Field(default=1, ge=0, le=100)
    """How often a command that failed is started again, before its run counts as failed."""
    wait_seconds: float = Field(default=10.0, ge=0.0, le=86_400.0)
    """How long the result may come after the command has ended."""
    most_hours: float = Field(default=0.0, ge=0.0, le=100_000.0)
    """Time after which a command is stopped and tried again; 0 has no limit."""
    eval_set: str = Field(default="own", min_length=1, max_length=200)
    """Name of the data that the loss is measured on: one law is fitted to one."""

    @property
    def own_fields(self) -> set[str]:
        """The names that some size gives."""
        return {name for size in self.sizes for name in size}

    def lacking(self, size: Given) -> list[str]:
        """The fields of the command that only sizes give, and that this one does not.

        >>> TrainerSection(command="train {config}", sizes=[{"width": 64, "config": "a"}]).lacking({"width": 32})
        ['config']
        """
        return sorted((names(self.command) | names(self.resume)) - set(FIELDS) - set(size))

    @field_validator("sizes")
    @classmethod
    def _lists_a_size(cls, sizes: list[Given], info: ValidationInfo) -> list[Given]:
        if not sizes and info.context == AS_WRITTEN:
            raise ValueError("an empty list: give a size at least, or leave `sizes` out and give design.params")
        return sizes

    @field_validator("result", "checkpoint")
    @classmethod
    def _lies_in_the_folder(cls, name: str, info: ValidationInfo) -> str:
        path = PurePosixPath(name)
        if str(path) == "." and (name or info.field_name == "result"):
            raise ValueError(f"the name of a file or folder below {{folder}}, and not {name!r}")
        if name and (path.is_absolute() or ".." in path.parts or "\0" in name):
            raise ValueError(f"a path below {{folder}}, and not {name!r}")
        return name

    @field_validator("map")
    @classmethod
    def _names_are_known(cls, names_: dict[str, str]) -> dict[str, str]:
        if unknown := sorted(set(names_) - set(RESULT_NAMES)):
            raise ValueError(f"unknown {unknown[0]!r}; known: {', '.join(RESULT_NAMES)}")
        if empty := [ours for ours, theirs in names_.items() if not theirs.strip()]:
            raise ValueError(f"{empty[0]!r} has no name")
        return names_

    @field_validator("progress")
    @classmethod
    def _is_a_pattern(cls, pattern: str) -> str:
        try:
            groups = re.compile(pattern).groupindex
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(f"no regular expression: {error}") from None
        if (pattern and (unknown := set(groups) - set(GROUPS))) or (pattern and not groups):
            got = f"unknown {', '.join(sorted(unknown))}" if unknown else "no named group"
            raise ValueError(f"groups are named (?P<step>...), one of {', '.join(GROUPS)}; {got}")
        return pattern

    @model_validator(mode="after")
    def _fields_are_known(self) -> TrainerSection:
        known = [*FIELDS, *sorted(name for name in self.own_fields if name not in FIELDS)]
        check_names(self.command, known)
        if self.resume:
            check_names(self.resume, [name for name in known if name != "resume"], "resume")
        if taken := sorted(self.own_fields & {*PLACE, "tokens", "seed", "group", "flops", "steps"}):
            raise ValueError(f"a size cannot give {taken[0]!r}: the run has its own")
        if "{resume}" in self.command and not self.resume:
            raise ValueError('the command has {resume}: say in `resume` what stands for it, as "--resume {folder}"')
        if self.resume and not self.checkpoint:
            raise ValueError('`resume` needs `checkpoint`, the pattern of what a run goes on from, as "*.pt"')
        return self
