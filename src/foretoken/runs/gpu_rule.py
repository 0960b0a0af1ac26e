"""launch.gpus of a study file: the GPUs of a run, by its size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import BeforeValidator, Field

from foretoken.runs.section import Count, Section


class GpusOfSize(Section):
    """The GPUs of the runs of one class of sizes."""

    below: Annotated[Count, Field(ge=1.0)] | None = None
    """Parameters that the runs of the class stay below; without it they are all the others."""
    gpus: float = Field(gt=0.0, le=64.0)


def _as_rule(value: object) -> object:
    """One number is a rule with one class; 0 says nothing."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return ([{"gpus": value}] if value else []) if is_number else value


GpuRule = Annotated[list[GpusOfSize], BeforeValidator(_as_rule)]
"""The classes, the smallest sizes first."""


def check_rule(rule: Sequence[GpusOfSize], *, whole: bool) -> None:
    """Raise ValueError for classes that leave a size without GPUs or can hold none, and for shares where all is whole.

    >>> check_rule([GpusOfSize(below=1e9, gpus=1)], whole=False)
    Traceback (most recent call last):
        ...
    ValueError: gpus: the last class has no `below`, so that it holds every larger run: [..., { gpus = 8 }]
    """
    bounds = [one.below for one in rule]
    if rule and bounds[-1] is not None:
        raise ValueError("gpus: the last class has no `below`, so that it holds every larger run: [..., { gpus = 8 }]")
    said = [bound for bound in bounds[:-1] if bound is not None]
    if len(said) < len(bounds[:-1]) or said != sorted(set(said)):
        raise ValueError("gpus: each class but the last has a `below`, larger than that of the class before")
    for one in rule:
        if one.gpus > 1 and one.gpus != int(one.gpus):
            raise ValueError(f"gpus = {one.gpus:g}: a share is of one GPU; more than one are whole")
        if whole and one.gpus != int(one.gpus):
            raise ValueError(f"gpus = {one.gpus:g}: SLURM gives whole GPUs; kind 'ray' or 'local' takes shares of one")


def gpus_of(rule: Sequence[GpusOfSize], params: float) -> float:
    """The GPUs of a run of so many parameters; 0 without a rule.

    >>> gpus_of([GpusOfSize(below=1e9, gpus=0.25), GpusOfSize(gpus=8)], 1e9)
    8.0
    """
    return next((one.gpus for one in rule if one.below is None or params < one.below), 0.0)
