"""Networks and tasks that are tuned in a moment."""

from __future__ import annotations

from typing import Any

from foretoken.compute.shape import PRESETS, ModelShape
from foretoken.evals.formats import Reader, make_reader
from foretoken.evals.head import Tuned, widened
from foretoken.evals.tasks import CHOICE, LABELS, TEXT_TO_TEXT, TEXTS, Example, Task
from foretoken.models import Network, build

PRESET = {"decoder": "gpt2", "prefix": "prefix", "encoder": "bert", "encoder_decoder": "t5", "lstm": "lstm"}
VOCABULARY = 12
ABILITIES = [
    (family, kind)
    for family in PRESET
    for kind in (*TEXTS, CHOICE)
    if not (family == "encoder" and kind == TEXT_TO_TEXT)
]
"""Every family with every kind of task that it can do."""


def network(family: str, **choices: Any) -> Network:
    more = {"token_types": 2, "pooler": True} if family == "encoder" else {}
    sizes = {"layers": 1, "width": 16, "heads": 2, "context": 16, "vocabulary": VOCABULARY}
    return build(ModelShape(**{**sizes, **PRESETS[PRESET[family]], **more, **choices}), seed=0)


def example(kind: str, number: int = 0) -> Example:
    """Texts of lengths of their own; the class is the first token's parity."""
    start, label = number % VOCABULARY, number % 2
    first, second = (start, *range(1, 2 + number % 3)), tuple(range(2, 4 + number % 2))
    if kind == CHOICE:
        return Example((first, second, (start, start), (5,)), (number % 3,))
    if kind == LABELS:
        return Example((first,), (label, -1, *[1] * (len(first) - 2)))
    if kind == TEXT_TO_TEXT:
        return Example((first, (start, *second)))
    return Example((first, second)[: TEXTS.get(kind, 1)], (label,))


def task(kind: str, **changes: Any) -> Task:
    """Six examples of each split."""
    classes = {CHOICE: ("0", "1", "2"), TEXT_TO_TEXT: ()}.get(kind, ("even", "odd"))
    some = tuple(example(kind, number) for number in range(6))
    return Task(**{"name": "a", "kind": kind, "classes": classes,
                   **dict.fromkeys(("train", "validation", "test"), some), **changes})  # fmt: skip


def tuned(family: str, kind: str) -> tuple[Tuned, Reader]:
    """A network with a head, in evaluation."""
    start, wanted = network(family), task(kind)
    reader, vocabulary = make_reader(wanted, start.shape, {})
    return Tuned(widened(start, vocabulary, 0), kind, len(wanted.classes), 0, 0.0).eval(), reader
