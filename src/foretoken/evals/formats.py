"""How each family reads the texts of an example: the delimiters around them, and the states that give the answer.

decoder, prefix, lstm   [START] a [DELIM] b [EXTRACT]   the last state (Radford et al. 2018)
encoder                 [CLS] a [SEP] b [SEP]           the first (Devlin et al. 2018)
encoder_decoder         a [SEP] b [SEP]                 the decoder's first

Texts without an order are read in both orders; each choice is read after the text that it belongs to; for labels the
states of the tokens themselves are taken (the encoder's, where there are two stacks). Text-to-text: one stack reads
source and target as a pair and predicts the target, two stacks read one each; the last delimiter ends a target.

Shapes: B examples, R sequences that are read for them, T positions, N predictions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretoken.compute.families import FAMILIES, Family
from foretoken.compute.objective import CLS, PAD, SEP
from foretoken.compute.shape import ModelShape
from foretoken.data.specials import special_ids
from foretoken.errors import TaskError
from foretoken.evals.tasks import (
    CHOICE,
    LABELS,
    NO_LABEL,
    PAIR,
    SIMILARITY,
    SINGLE,
    TEXT_TO_TEXT,
    Example,
    Task,
    TaskKind,
    Tokens,
)

Integers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Template:
    """The delimiters of a family, and which state gives the answer."""

    first: str = ""
    between: str
    last: str
    answer_is_last: bool = False
    """Whether the last state gives the answer, and not the first."""


CAUSAL = Template(first="[START]", between="[DELIM]", last="[EXTRACT]", answer_is_last=True)
BIDIRECTIONAL = Template(first=CLS, between=SEP, last=SEP)
TWO_STACKS = Template(between=SEP, last=SEP)


def template_of(family: Family) -> Template:
    """The template of a family: the answer is in its first state where that sees the whole text, else in the last."""
    if family.two_stacks:
        return TWO_STACKS
    return BIDIRECTIONAL if family.bidirectional else CAUSAL


SEQUENCES: dict[TaskKind, Callable[[tuple[Tokens, ...]], list[tuple[Tokens, ...]]]] = {
    SINGLE: lambda texts: [texts],
    PAIR: lambda texts: [texts],
    SIMILARITY: lambda texts: [texts, texts[::-1]],
    CHOICE: lambda texts: [(texts[0], choice) for choice in texts[1:]],
    LABELS: lambda texts: [texts],
    TEXT_TO_TEXT: lambda texts: [texts],
}
"""The texts of each sequence that is read for an example."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Examples as a network reads them."""

    inputs: dict[str, NDArray[Any]]
    """Arguments of `network.features`; `tokens` is the first."""
    positions: Integers
    """The states that are taken, flat in [R, T]."""
    targets: Integers
    """[N] classes, or tokens of targets."""
    example_index: Integers
    """[N] the example of each."""


@dataclass(frozen=True)
class InputFormat:
    """Makes batches of a task for a network of some shape."""

    kind: TaskKind
    shape: ModelShape
    delimiters: dict[str, int]
    """Ids of the delimiters, by their names."""

    @property
    def template(self) -> Template:
        """The family's template."""
        return template_of(self.shape.family_record)

    @property
    def splits_source_and_target(self) -> bool:
        """Whether each example is a source for the encoder and a target for the decoder."""
        return self.shape.family_record.two_stacks and self.kind == TEXT_TO_TEXT

    def sequence(self, texts: Sequence[Tokens], task: str = "") -> tuple[list[int], int]:
        """The delimited texts, and the position where the last one begins. The name of a task stands before all."""
        head = [*([f"[{task}]"] if task else []), *([self.template.first] if self.template.first else [])]
        tokens, last_begins = [self.delimiters[name] for name in head], 0
        for number, text in enumerate(texts):
            tokens += [self.delimiters[self.template.between]] if number else []
            last_begins = len(tokens)
            tokens += text
        return [*tokens, self.delimiters[self.template.last]], last_begins

    def batch(self, examples: Sequence[Example]) -> Batch:
        """The examples, padded to the longest."""
        if self.kind == TEXT_TO_TEXT:
            return self._source_and_target(examples) if self.splits_source_and_target else self._one_stack(examples)
        return self._classified(examples)

    def _classified(self, examples: Sequence[Example]) -> Batch:
        sequences = [
            self.sequence(texts, example.task) for example in examples for texts in SEQUENCES[self.kind](example.texts)
        ]
        rows, begins = [tokens for tokens, _ in sequences], [begin for _, begin in sequences]
        inputs, example_index = self._inputs(rows, begins), np.arange(len(examples))
        if self.kind == LABELS:
            positions, example_index = _labelled(examples, begins, inputs["tokens"].shape[1])
        else:
            if self.shape.family_record.two_stacks:
                inputs["target"] = np.full((len(rows), 1), self.delimiters[PAD])
            length = inputs.get("target", inputs["tokens"]).shape[1]
            answer = [len(row) - 1 if self.template.answer_is_last else 0 for row in rows]
            positions = np.arange(len(rows)) * length + answer
        targets = [label for example in examples for label in example.labels if label != NO_LABEL]
        return Batch(
            inputs=inputs, positions=positions, targets=np.array(targets, np.int64), example_index=example_index
        )

    def _inputs(self, rows: list[list[int]], begins: list[int]) -> dict[str, NDArray[Any]]:
        """Tokens, and the other arguments that the family takes."""
        tokens, lengths = padded(rows), np.array([len(row) for row in rows])
        position = np.arange(tokens.shape[1])
        inputs: dict[str, NDArray[Any]] = {"tokens": tokens}
        if self.shape.bidirectional:
            inputs["padding_mask"] = position < lengths[:, None]
        if self.shape.family_record.takes_prefix:
            inputs["prefix"] = lengths
        # The second segment begins with the last text and ends with the padding (Devlin et al. 2018, figure 2).
        if self.shape.token_types > 1 and self.kind in (PAIR, SIMILARITY, CHOICE):
            inputs["segments"] = ((position >= np.array(begins)[:, None]) & inputs["padding_mask"]).astype(np.int64)
        return inputs

    def _one_stack(self, examples: Sequence[Example]) -> Batch:
        """Source and target are one sequence; all that follows the delimiter between them is predicted."""
        sequences = [self.sequence(example.texts, example.task) for example in examples]
        tokens, begins = padded([row[:-1] for row, _ in sequences]), np.array([begin for _, begin in sequences])
        inputs: dict[str, NDArray[Any]] = {"tokens": tokens}
        if self.shape.family_record.takes_prefix:
            inputs["prefix"] = begins
        # The state at position t predicts token t + 1: the target's first token is read off the delimiter before it.
        spans = [np.arange(begin - 1, len(row) - 1) for row, begin in sequences]
        positions = np.concatenate([span + number * tokens.shape[1] for number, span in enumerate(spans)])
        return _target_batch(inputs, positions, [row[begin:] for row, begin in sequences])

    def _source_and_target(self, examples: Sequence[Example]) -> Batch:
        """The encoder reads the source; the decoder starts with a pad, as T5's does, and predicts the target."""
        inputs = self._inputs([self.sequence(example.texts[:1], example.task)[0] for example in examples], [])
        targets = [[*example.texts[1], self.delimiters[self.template.last]] for example in examples]
        inputs["target"] = padded([[self.delimiters[PAD], *target[:-1]] for target in targets])
        length = inputs["target"].shape[1]
        positions = np.concatenate([np.arange(len(row)) + number * length for number, row in enumerate(targets)])
        return _target_batch(inputs, positions, targets)


def _target_batch(inputs: dict[str, NDArray[Any]], positions: Integers, targets: list[list[int]]) -> Batch:
    return Batch(
        inputs=inputs,
        positions=positions,
        targets=np.array(list(chain(*targets)), np.int64),
        example_index=np.repeat(np.arange(len(targets)), [len(row) for row in targets]),
    )


def _labelled(examples: Sequence[Example], begins: list[int], length: int) -> tuple[Integers, Integers]:
    """Positions and examples of the tokens that have a label, in sequences padded to `length`."""
    labelled = [np.flatnonzero(np.array(example.labels) != NO_LABEL) for example in examples]
    positions = [
        within + begin + number * length for number, (within, begin) in enumerate(zip(labelled, begins, strict=True))
    ]
    return np.concatenate(positions), np.repeat(np.arange(len(examples)), [len(within) for within in labelled])


def padded(rows: list[list[int]]) -> Integers:
    """Rows of one length. No prediction depends on the padding, so any token does: 0.

    >>> padded([[1, 2], [3]]).tolist()
    [[1, 2], [3, 0]]
    """
    tokens = np.zeros((len(rows), max(map(len, rows))), np.int64)
    for number, row in enumerate(rows):
        tokens[number, : len(row)] = row
    return tokens


def input_format(task: Task, shape: ModelShape, specials: Mapping[str, int]) -> tuple[InputFormat, int]:
    """The format of a task's batches, and the vocabulary with the delimiters that the network lacked.

    `specials` are special tokens that the network knows, by name; new ones are numbered after the network's tokens.
    Raises TaskError for a kind that the family cannot do, tokens beyond the vocabulary, and sequences longer than the
    context.
    """
    template = template_of(shape.family_record)
    if task.kind == TEXT_TO_TEXT and not shape.family_record.generates:
        writers = [family.name for family in FAMILIES.values() if family.generates]
        raise TaskError(
            "an encoder gives no text",
            expected=f"a {', '.join(writers[:-1])} or {writers[-1]} for text-to-text",
            got=f"family {shape.family!r}",
            cure="take a model of another family, or a task with classes",
        )
    tasks = [f"[{name}]" for name in sorted({example.task for _, example in task.examples() if example.task})]
    start = [PAD] if shape.family_record.two_stacks else []
    names = dict.fromkeys([*start, template.first, template.between, template.last, *tasks])
    delimiters, vocabulary = special_ids(specials, shape.vocabulary, False, [name for name in names if name])
    # Lengths are known only with the delimiters, so the check comes last; nothing has been trained yet.
    inputs = InputFormat(task.kind, shape, delimiters)
    _check(task, inputs)
    return inputs, vocabulary


def _check(task: Task, inputs: InputFormat) -> None:
    shape = inputs.shape
    for where, example in task.examples():
        if not all(0 <= token < shape.vocabulary for text in example.texts for token in text):
            raise TaskError(
                f"{where} has a token that the network does not know",
                expected=f"0 to {shape.vocabulary - 1}",
                got=str(max(max(text) for text in example.texts)),
                cure="give the texts in the tokens of the network's own tokenizer",
            )
        length, limit = _longest(example, inputs)
        if length > limit:
            raise TaskError(
                f"{where} is longer than the context",
                expected=f"up to {limit} tokens, delimiters included",
                got=str(length),
                cure="shorten the texts (foretoken finetune does with --cut: their first tokens alone), or take a"
                " model of a longer context (of a study: model.context)",
            )


def _longest(example: Example, inputs: InputFormat) -> tuple[int, int]:
    """Tokens of the longest sequence, and the context of the stack that reads it; the target's if that is too long."""
    shape = inputs.shape
    target, decoder_context = len(example.texts[-1]) + 1, shape.second_context
    if inputs.splits_source_and_target and target > decoder_context:
        return target, decoder_context
    sequences = [example.texts[:1]] if inputs.splits_source_and_target else SEQUENCES[inputs.kind](example.texts)
    return max(len(inputs.sequence(texts, example.task)[0]) for texts in sequences), shape.context
