"""Networks and tasks that are tuned in a moment."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from foretoken.compute.shape import PRESETS, ModelShape
from foretoken.data.tokenizer_files import train_tokenizer
from foretoken.evals.finetuning_loop import TaskNetwork, extend_vocabulary
from foretoken.evals.formats import InputFormat, input_format
from foretoken.evals.tasks import CHOICE, LABELS, TEXT_TO_TEXT, TEXTS, Example, Task
from foretoken.models import Network, build, save_pretrained

PRESET = {"decoder": "gpt2", "prefix": "prefix", "encoder": "bert", "encoder_decoder": "t5", "lstm": "lstm"}
VOCABULARY = 12
SPECIALS = ["[PAD]", "[CLS]", "[SEP]", "[MASK]", *(f"<extra_id_{number}>" for number in range(12))]
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


def tuned(family: str, kind: str) -> tuple[TaskNetwork, InputFormat]:
    """A network with a head, in evaluation."""
    start, a_task = network(family), task(kind)
    inputs, vocabulary = input_format(a_task, start.shape, {})
    return TaskNetwork(extend_vocabulary(start, vocabulary, 0), kind, len(a_task.classes), 0, 0.0).eval(), inputs


def save_model(folder: Path, preset: str, texts: Path, **choices: object) -> Path:
    """Random weights and a tokenizer, as somebody else's folder."""
    from tokenizers import AddedToken, Tokenizer

    words = Tokenizer.from_str(train_tokenizer(texts, kind="bpe", vocabulary=300).definition)
    words.add_special_tokens([AddedToken(name, special=True) for name in SPECIALS])
    end = words.token_to_id("<|endoftext|>")
    shape = ModelShape(
        **{"layers": 1, "width": 16, "heads": 2, "context": 32, "vocabulary": words.get_vocab_size(),
           **PRESETS[preset], **choices}  # type: ignore[arg-type]
    )  # fmt: skip
    if shape.family == "encoder_decoder":
        shape = replace(shape, decoder_context=32)
    save_pretrained(build(shape), folder, token_ids={"eos_token_id": end})
    words.save(str(folder / "tokenizer.json"))
    return folder
