"""How well a model predicts a text of the user's: loss, perplexity, bits per byte, and loss by place."""

from __future__ import annotations

import hashlib
import math
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretoken.compute.objective import Objective
from foretoken.data import TokenizedCorpus, validation_batches, windows
from foretoken.data.corpus import documents
from foretoken.data.packing import CHUNK_BYTES, is_validation
from foretoken.data.specials import special_ids
from foretoken.data.tokenized import token_dtype
from foretoken.data.tokenizer import SymbolTokenizer
from foretoken.errors import CorpusError, DesignError
from foretoken.generation import Model, open_model
from foretoken.generation.opening import Source
from foretoken.objectives import Maker
from foretoken.runs.sections import CorpusSection
from foretoken.training.evaluate import measure, sequences_at_once

MOST_TOKENS = 1_000_000
"""Tokens of a text that are read unless told."""


@dataclass(frozen=True, kw_only=True)
class TextCorpus(TokenizedCorpus):
    """A tokenised text in memory."""

    held: dict[str, NDArray[Any]] = field(default_factory=dict)
    """Tokens by split."""

    def tokens(self, split: str) -> NDArray[Any]:
        """The tokens of a split."""
        return self.held[split]


@dataclass(frozen=True, kw_only=True)
class TextLoss:
    """What `evaluate` gives."""

    model: str
    text: str
    objective: str
    context: int
    """Tokens of a sequence."""
    tokens: int
    """Tokens of text that were read."""
    sequences: int
    loss: float
    """Mean over predictions, in nats."""
    loss_se: float
    """Its standard error, with sequences as units; neighbours are taken for independent."""
    bits_per_byte: float | None
    """causal: bits that the model takes for a byte of text; None where the tokenizer loses bytes."""
    by_position: list[list[float]]
    """causal: [first, last, loss] by place in the sequence, in doublings."""
    label_loss: float | None
    """next_sentence: loss of the labels."""

    @property
    def perplexity(self) -> float:
        """The exponential of the loss: equally likely tokens among which the model is left to guess."""
        return math.exp(self.loss)

    @property
    def perplexity_range(self) -> tuple[float, float]:
        """The interval of 95 % that follows from the loss's standard error."""
        return math.exp(self.loss - 1.96 * self.loss_se), math.exp(self.loss + 1.96 * self.loss_se)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self) | {"perplexity": self.perplexity, "perplexity_range": list(self.perplexity_range)}


def evaluate(
    source: Source,
    text: str | Path,
    *,
    objective: Objective | None = None,
    context: int | None = None,
    tokens: int = MOST_TOKENS,
    column: str = "text",
    run: str | None = None,
) -> TextLoss:
    """The loss of a model on a file or folder of text, in sequences side by side that do not overlap.

    `source` is as `open_model` takes it; `objective` is what the model was trained to predict, unless given; `context`
    the tokens of a sequence, all that the model can read unless given; `tokens` how many of the text's are read at
    most, the first ones; `column` holds the text in .jsonl and .parquet. What is hidden depends on the text alone.
    Raises CorpusError for a text that cannot be read or is shorter than two sequences, DesignError for an objective or
    a context that the model does not have, and what `open_model` raises.
    """
    model = open_model(source, run)
    corpus = read_corpus(model, text, column, 1.0, most=tokens)
    maker = make_maker(model, corpus, objective, context)
    shape, window = maker.shape, maker.objective.window(maker.shape)
    number = windows(corpus.validation_tokens, window)
    if number < 2:
        raise CorpusError(
            "the text is shorter than two sequences",
            expected=f"at least {window.stride + window.length} tokens",
            got=f"{corpus.validation_tokens} tokens",
            cure="give more text, or a shorter context",
        )
    at_once = sequences_at_once(maker.objective, shape.sequence_tokens)
    found = measure(model.network, maker, validation_batches(corpus, window, number, at_once))
    per_byte = corpus.bytes_per_token if maker.objective.kind == "causal" else None
    return TextLoss(
        model=model.name,
        text=str(text),
        objective=maker.objective.kind,
        context=shape.context,
        tokens=number * window.stride,
        sequences=number,
        loss=found.loss,
        loss_se=found.loss_se,
        bits_per_byte=None if per_byte is None else found.loss / math.log(2) / per_byte,
        by_position=found.by_position,
        label_loss=found.label_loss,
    )


def make_maker(model: Model, corpus: TokenizedCorpus, objective: Objective | None, context: int | None) -> Maker:
    """What makes the examples of a model on a text. Raises DesignError, CorpusError."""
    shape, aim = model.network.shape, objective or model.objective
    if context is not None and not 8 <= context <= shape.context:
        raise DesignError("the model cannot read such sequences", expected=f"8 to {shape.context}", got=str(context))
    shape = replace(shape, context=context or shape.context)
    aim.check(shape)
    specials, _ = special_ids(corpus.specials, corpus.vocabulary, corpus.closed, aim.specials(shape))
    return Maker(
        objective=aim,
        shape=shape,
        text_vocabulary=corpus.vocabulary,
        specials=specials,
        separator=corpus.separator,
    )


def read_corpus(model: Model, path: str | Path, column: str, held_out: float, most: int | None = None) -> TextCorpus:
    """A text as tokens of the model's, a share of its documents (by their hash) held out; at most so many tokens."""
    tokenizer = model.tokenizer
    if isinstance(tokenizer, SymbolTokenizer):
        raise CorpusError(
            "this model was trained on a synthetic language, which has symbols and no text",
            got=str(path),
            cure="give a model that was trained on text",
        )
    read = {split: _Split(model) for split in ("train", "validation")}
    for document in documents(CorpusSection(source="text", path=str(path), column=column)):
        read["validation" if held_out == 1.0 or is_validation(document.text, held_out) else "train"].add(document.text)
        if most is not None and sum(split.tokens for split in read.values()) >= most:
            break
    held = {split: part.finish()[:most] for split, part in read.items()}
    digest = {split: hashlib.sha256(tokens.tobytes()).hexdigest() for split, tokens in held.items()}
    whole, counted = read["validation"], len(held["validation"])
    lossless = not whole.lost and counted
    return TextCorpus(
        folder=Path(path),
        address=hashlib.sha256("".join(digest.values()).encode()).hexdigest()[:16],
        tokenizer=tokenizer.name,
        vocabulary=tokenizer.vocabulary,
        train_tokens=len(held["train"]),
        validation_tokens=counted,
        validation_bytes=round(whole.bytes * counted / whole.tokens) if lossless else None,
        entropy_rate=None,
        sources_sha256=digest["train"],
        validation_sha256=digest["validation"],
        separator=tokenizer.separator,
        specials=dict(model.specials),
        closed=True,
        held=held,
    )


class _Split:
    """Tokens of documents, a separator behind each."""

    def __init__(self, model: Model) -> None:
        self.tokenizer, self.dtype = model.tokenizer, token_dtype(model.tokenizer.vocabulary)
        self.parts: list[NDArray[Any]] = []
        self.waiting: list[bytes] = []
        self.waiting_bytes = self.bytes = self.tokens = 0
        self.lost = False

    def add(self, text: bytes) -> None:
        self.waiting.append(text)
        self.waiting_bytes += len(text)
        if self.waiting_bytes >= CHUNK_BYTES:
            self._encode()

    def finish(self) -> NDArray[Any]:
        self._encode()
        return np.concatenate(self.parts) if self.parts else np.zeros(0, self.dtype)

    def _encode(self) -> None:
        separator = self.tokenizer.separator
        end = np.array([] if separator is None else [separator], self.dtype)
        for text, tokens in zip(self.waiting, self.tokenizer.encode(self.waiting), strict=True):
            self.lost = self.lost or (self.tokenizer.closed and self.tokenizer.decode(tokens) != text)
            self.parts += [tokens.astype(self.dtype), end]
            self.tokens += len(tokens) + len(end)
        self.bytes += self.waiting_bytes
        self.waiting, self.waiting_bytes = [], 0
