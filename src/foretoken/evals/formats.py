"""How each family reads the texts of an example: which marks stand around them, and which states tell the answer.

decoder, prefix, lstm   [START] a [DELIM] b [EXTRACT]   the last state (Radford et al. 2018)
encoder                 [CLS] a [SEP] b [SEP]           the first (Devlin et al. 2018)
encoder_decoder         a [SEP] b [SEP]                 the decoder's first

Texts without an order are read in both; of choices each is read behind the text that they belong to; for labels the
states of the tokens themselves are taken (the encoder's, where there are two stacks). Text-to-text: one stack reads
source and target as a pair and predicts the target, two stacks read one each; the last mark ends a target.

Shapes: B examples, R sequences that are read for them, T positions, N predictions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    Tokens,
)

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Frame:
    """The marks of a family, and whether the first or the last state tells the answer."""

    first: str
    between: str
    last: str
    reads: str


GPT = Frame("[START]", "[DELIM]", "[EXTRACT]", "last")
FRAMES = {
    "decoder": GPT,
    "prefix": GPT,
    "lstm": GPT,
    "encoder": Frame(CLS, SEP, SEP, "first"),
    "encoder_decoder": Frame("", SEP, SEP, "first"),
}
READ: dict[str, Callable[[tuple[Tokens, ...]], list[tuple[Tokens, ...]]]] = {
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
    places: Integers
    """The states that are taken, flat in [R, T]."""
    targets: Integers
    """[N] classes, or tokens of targets."""
    owner: Integers
    """[N] the example of each."""


@dataclass(frozen=True)
class Reader:
    """Makes batches of a task for a network of some shape."""

    kind: str
    shape: ModelShape
    marks: dict[str, int]
    """Numbers of the marks."""

    @property
    def frame(self) -> Frame:
        """The marks of the family."""
        return FRAMES[self.shape.family]

    @property
    def two_stacks(self) -> bool:
        """Whether a decoder looks at an encoder."""
        return self.shape.family == "encoder_decoder"

    def framed(self, texts: Sequence[Tokens], task: str = "") -> tuple[list[int], int]:
        """The sequence, and where its last text begins. The name of a task stands before all."""
        head = [*([f"[{task}]"] if task else []), *([self.frame.first] if self.frame.first else [])]
        tokens, begins = [self.marks[name] for name in head], 0
        for number, text in enumerate(texts):
            tokens += [self.marks[self.frame.between]] if number else []
            begins = len(tokens)
            tokens += text
        return [*tokens, self.marks[self.frame.last]], begins

    def batch(self, examples: Sequence[Example]) -> Batch:
        """The examples, padded to the longest."""
        if self.kind == TEXT_TO_TEXT:
            return self._two_stacks(examples) if self.two_stacks else self._one_stack(examples)
        return self._classified(examples)

    def _classified(self, examples: Sequence[Example]) -> Batch:
        read = [self.framed(texts, one.task) for one in examples for texts in READ[self.kind](one.texts)]
        rows = [tokens for tokens, _ in read]
        inputs, owner = self._inputs(rows, [begins for _, begins in read]), np.arange(len(examples))
        if self.kind == LABELS:
            places, owner = _labelled(examples, [begins for _, begins in read], inputs["tokens"].shape[1])
        else:
            if self.two_stacks:
                inputs["target"] = np.full((len(rows), 1), self.marks[PAD])
            wide = inputs.get("target", inputs["tokens"]).shape[1]
            last = [len(row) - 1 if self.frame.reads == "last" else 0 for row in rows]
            places = np.arange(len(rows)) * wide + last
        targets = [label for one in examples for label in one.labels if label != NO_LABEL]
        return Batch(inputs=inputs, places=places, targets=np.array(targets, np.int64), owner=owner)

    def _inputs(self, rows: list[list[int]], begins: list[int]) -> dict[str, NDArray[Any]]:
        """Tokens, and what the family wants beside them."""
        tokens, lengths = padded(rows), np.array([len(row) for row in rows])
        places = np.arange(tokens.shape[1])
        inputs: dict[str, NDArray[Any]] = {"tokens": tokens}
        if self.shape.both_ways:
            inputs["real"] = places < lengths[:, None]
        if self.shape.family == "prefix":
            inputs["prefix"] = lengths
        if self.shape.token_types > 1 and self.kind in (PAIR, SIMILARITY, CHOICE):
            inputs["segments"] = ((places >= np.array(begins)[:, None]) & inputs["real"]).astype(np.int64)
        return inputs

    def _one_stack(self, examples: Sequence[Example]) -> Batch:
        """Source and target are one sequence; what stands behind the mark between them is predicted."""
        read = [self.framed(one.texts, one.task) for one in examples]
        tokens, begins = padded([row[:-1] for row, _ in read]), np.array([begin for _, begin in read])
        inputs: dict[str, NDArray[Any]] = {"tokens": tokens}
        if self.shape.family == "prefix":
            inputs["prefix"] = begins
        spans = [np.arange(begin - 1, len(row) - 1) for row, begin in read]
        places = np.concatenate([span + number * tokens.shape[1] for number, span in enumerate(spans)])
        return _predicted(inputs, places, [row[begin:] for row, begin in read])

    def _two_stacks(self, examples: Sequence[Example]) -> Batch:
        """The encoder reads the source; the decoder starts with a pad, as T5's does, and gives the target."""
        inputs = self._inputs([self.framed(one.texts[:1], one.task)[0] for one in examples], [])
        targets = [[*one.texts[1], self.marks[self.frame.last]] for one in examples]
        inputs["target"] = padded([[self.marks[PAD], *target[:-1]] for target in targets])
        wide = inputs["target"].shape[1]
        places = np.concatenate([np.arange(len(row)) + number * wide for number, row in enumerate(targets)])
        return _predicted(inputs, places, targets)


def _predicted(inputs: dict[str, NDArray[Any]], places: Integers, targets: list[list[int]]) -> Batch:
    owner = np.repeat(np.arange(len(targets)), [len(row) for row in targets])
    return Batch(inputs=inputs, places=places, targets=np.array(list(chain(*targets)), np.int64), owner=owner)


def _labelled(examples: Sequence[Example], begins: list[int], wide: int) -> tuple[Integers, Integers]:
    """Places and owners of the tokens that have a label."""
    found = [np.flatnonzero(np.array(one.labels) != NO_LABEL) for one in examples]
    places = [some + begin + number * wide for number, (some, begin) in enumerate(zip(found, begins, strict=True))]
    return np.concatenate(places), np.repeat(np.arange(len(examples)), [len(some) for some in found])


def padded(rows: list[list[int]]) -> Integers:
    """Rows of one length; what is filled up is seen by nobody, so any number does.

    >>> padded([[1, 2], [3]]).tolist()
    [[1, 2], [3, 0]]
    """
    filled = np.zeros((len(rows), max(map(len, rows))), np.int64)
    for number, row in enumerate(rows):
        filled[number, : len(row)] = row
    return filled


def make_reader(task: Task, shape: ModelShape, specials: Mapping[str, int]) -> tuple[Reader, int]:
    """The reader, and the vocabulary with the marks that were lacking, numbered behind the network's tokens.

    `specials` are special tokens that the network knows, by name. Raises TaskError for a kind that the family cannot
    do, tokens beyond the vocabulary, and sequences longer than the context.
    """
    frame = FRAMES[shape.family]
    if task.kind == TEXT_TO_TEXT and shape.family == "encoder":
        raise TaskError(
            "an encoder gives no text",
            expected="a decoder, prefix, lstm or encoder_decoder for text-to-text",
            got="family 'encoder'",
            cure="take a model of another family, or a task with classes",
        )
    named = [f"[{name}]" for name in sorted({one.task for _, one in task.examples() if one.task})]
    start = [PAD] if shape.family == "encoder_decoder" else []
    wanted = dict.fromkeys([*start, frame.first, frame.between, frame.last, *named])
    marks, vocabulary = special_ids(specials, shape.vocabulary, False, [name for name in wanted if name])
    reader = Reader(task.kind, shape, marks)
    _check(task, reader)
    return reader, vocabulary


def _check(task: Task, reader: Reader) -> None:
    shape = reader.shape
    for place, example in task.examples():
        if not all(0 <= token < shape.vocabulary for text in example.texts for token in text):
            raise TaskError(
                f"{place} has a token that the network does not know",
                expected=f"0 to {shape.vocabulary - 1}",
                got=str(max(max(text) for text in example.texts)),
                cure="give the texts in the tokens of the network's own tokenizer",
            )
        given, limit = _longest(example, reader)
        if given > limit:
            raise TaskError(
                f"{place} is longer than the context",
                expected=f"up to {limit} tokens, marks included",
                got=str(given),
                cure="shorten the texts (--cut keeps the first tokens of each), or take a model of a longer context",
            )


def _longest(example: Example, reader: Reader) -> tuple[int, int]:
    """Tokens of the longest sequence, and what the stack that reads it can hold; the target's if that is too long."""
    shape, apart = reader.shape, reader.two_stacks and reader.kind == TEXT_TO_TEXT
    target, holds = len(example.texts[-1]) + 1, shape.decoder_context or shape.context
    if apart and target > holds:
        return target, holds
    read = [example.texts[:1]] if apart else READ[reader.kind](example.texts)
    return max(len(reader.framed(texts, example.task)[0]) for texts in read), shape.context
