"""Figures of a plan on its machines: memory by part, and where the seconds of a step go."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from foretoken.compute.layout import Layout
from foretoken.plans.plan import Plan
from foretoken.reports.elements import Html, figure, table
from foretoken.reports.forest import Line, forest
from foretoken.reports.numbers import MISSING, number, percent, significant

GB = 1e9
MEMORY = (("weights", "weights"), ("gradients", "gradients"), ("optimizer", "optimizer state"),
          ("activations", "activations"))  # fmt: skip
STEP = (
    ("compute_seconds", "compute"),
    ("tensor_seconds", "tensor communication"),
    ("pipeline_seconds", "pipeline communication"),
    ("data_seconds", "data communication, what nothing hides"),
    ("bubble_seconds", "waiting of pipeline stages"),
)


def machine_figures(plan: Plan) -> list[Html]:
    """Memory and step time of the plan's layout; none without one."""
    return [] if plan.layout is None else [_memory(plan, plan.layout), _step(plan.layout)]


def _memory(plan: Plan, layout: Layout) -> Html:
    room, total = plan.cost.get("memory"), layout.memory.total / GB
    name = plan.cost["accelerator"]
    parts = [(words, getattr(layout.memory, key) / GB) for key, words in MEMORY]
    share = f", {percent(layout.memory.total / room, 0)} of a {name}" if room else ""
    title = f"The fullest accelerator holds {number(total, 1)} GB{share}"
    caption = (
        "Bytes of training on the fullest accelerator, each part after the one above it; without buffers of "
        "communication and what the allocator wastes." + (f" Dotted: the memory of a {name}." if room else "")
    )
    marks = [(room / GB, f"{room / GB:.3g} GB")] if room else []
    lines = _waterfall(parts, "GB")
    panels = forest("memory", lines, "memory (GB)", title=title, described=caption, marks=marks)
    rows = [[words, f"{value:.2f}", percent(value / total, 0)] for words, value in [*parts, ("together", total)]]
    return figure("memory", title, panels, caption, table(["part", "GB", "share"], rows, class_="numbers"))


def _step(layout: Layout) -> Html:
    parts = [(words, getattr(layout, key)) for key, words in STEP]
    total = layout.step_seconds
    title = f"Of the {significant(total)} s of a step, {percent(layout.compute_seconds / total, 0)} are compute"
    caption = (
        "Seconds of one optimizer step by arithmetic, each part after the one above it: a first estimate, to be "
        f"measured before money is spent. Utilisation of the model's own FLOP: {number(layout.mfu, 2)}."
    )
    lines = _waterfall([one for one in parts if one[1] > 0], "s")
    panels = forest("step", lines, "seconds of a step", title=title, described=caption)
    rows = [[words, significant(value), percent(value / total, 1)] for words, value in [*parts, ("together", total)]]
    return figure("step", title, panels, caption, table(["part", "seconds", "share"], rows, class_="numbers"))


def _waterfall(parts: Sequence[tuple[str, float]], unit: str) -> list[Line]:
    """Each part begins where the one before ends; its size stands beside its name."""
    ends = list(accumulate(value for _, value in parts))
    starts = [0.0, *ends[:-1]]
    return [
        Line(f"{name}: {significant(value)} {unit}", end, said=" ", start=start)
        for (name, value), end, start in zip(parts, ends, starts, strict=True)
    ]


def cut_table(plan: Plan) -> Html:
    """How the training is cut, in words."""
    layout = plan.layout
    assert layout is not None
    cut = layout.split
    rows: list[list[object]] = [
        ["tensor parallel", cut.tensor],
        ["pipeline stages", cut.pipeline],
        ["groups of blocks in each", cut.interleave],
        ["data parallel", cut.data],
        ["ZeRO stage", cut.zero],
        ["recomputation", cut.recompute],
        ["micro-batches", f"{layout.micro_batches} a step, sequences in each: {layout.micro_batch}"],
        ["by this arithmetic", f"{number(layout.hours(plan.tokens) / 24, 1)} days at MFU {number(layout.mfu, 2)}"],
        ["by usual utilisation", f"{number(plan.cost['days'], 1)} days at MFU {number(plan.cost['mfu'], 2)}"
         if plan.cost["days"] is not None else MISSING],
    ]  # fmt: skip
    return table(["", ""], rows, class_="plain")
