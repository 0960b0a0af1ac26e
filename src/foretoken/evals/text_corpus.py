"""A text of the user's as tokens of a model's tokenizer, in memory."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretoken.bounded import limit, too_large
from foretoken.compute.objective import Objective, objective_kind
from foretoken.data import TokenizedCorpus
from foretoken.data.corpus import FEW_DOCUMENTS, documents
from foretoken.data.formats import UTF8, check_encoding
from foretoken.data.mixing import Document, is_validation
from foretoken.data.packing import CHUNK_BYTES
from foretoken.data.tokenized import token_dtype
from foretoken.data.tokenizer import SymbolTokenizer, Tokenizer
from foretoken.errors import CheckpointError, CorpusError, DesignError
from foretoken.generation import Model
from foretoken.models import Network
from foretoken.objectives import ExampleBuilder, examples
from foretoken.runs.corpus_section import CorpusSection
from foretoken.training.evaluate import Evaluation, held_out

LARGEST_TEXT, TEXT_OVERHEAD = 2**29, 2**8
"""Bytes of all documents that a model is trained on further, and how many more each takes in memory."""


@dataclass(frozen=True, kw_only=True)
class TextCorpus(TokenizedCorpus):
    """A tokenised text in memory."""

    by_split: dict[str, NDArray[Any]] = field(default_factory=dict)
    """Tokens by split."""

    def tokens(self, split: str) -> NDArray[Any]:
        """The tokens of a split."""
        return self.by_split[split]


def whole_text(model: Model, path: str | Path, column: str, most_tokens: int, encoding: str = UTF8) -> TextCorpus:
    """All of a text, or its first tokens, as the validation split. Raises CorpusError."""
    split = _SplitEncoder(model.tokenizer)
    for text, ends in _texts(model, path, column, encoding):
        split.add(text, ends)
        if split.tokens >= most_tokens:
            break
    tokens = split.finish()[:most_tokens]
    return _corpus(model, path, {"train": tokens[:0], "validation": tokens}, split.bytes_of(len(tokens)))


def split_text(model: Model, path: str | Path, column: str, share: float, encoding: str = UTF8) -> TextCorpus:
    """A text with a share of its documents held out, by their hash; of fewer than 50, its last tokens are.

    Raises CorpusError.
    """
    texts: list[tuple[bytes, bool]] = []
    size = 0
    for text, ends in _texts(model, path, column, encoding):
        texts.append((text, ends))
        size += len(text) + TEXT_OVERHEAD
        if size > limit(LARGEST_TEXT):
            raise too_large(f"the text {path}, which is kept in memory,", LARGEST_TEXT, "bytes", CorpusError)
    few = sum(ends for _, ends in texts) < FEW_DOCUMENTS
    train, validation = _SplitEncoder(model.tokenizer), _SplitEncoder(model.tokenizer)
    for text, ends in texts:
        (validation if not few and is_validation(text, share) else train).add(text, ends)
    tokens = {"train": train.finish(), "validation": validation.finish()}
    if few:
        # By hash, a few documents might all fall on one side; the end of the text is held out instead.
        end = round(len(tokens["train"]) * (1 - share))
        tokens = {"train": tokens["train"][:end], "validation": tokens["train"][end:]}
    return _corpus(model, path, tokens, None)


def _texts(model: Model, path: str | Path, column: str, encoding: str) -> Iterator[tuple[bytes, bool]]:
    """The texts of the documents, long ones in parts, and whether a document ends with it.

    A refusal names this text and not the study file's keys, which the user of this verb has never seen.
    """
    if isinstance(model.tokenizer, SymbolTokenizer):
        raise CorpusError(
            "this model was trained on a synthetic language, which has symbols and no text",
            expected="a model that was trained on text",
            got=model.name,
        )
    before: Document | None = None
    try:
        section = CorpusSection(source="text", path=str(path), column=column, encoding=check_encoding(encoding))
        for part in documents(section):
            if before is not None:
                yield before.text, _document_of(before) != _document_of(part)
            before = part
    except CorpusError as error:
        got = f"{path}" if error.got is None else error.got
        # These two name an option that the verb has, too.
        cure = error.cure if error.code in ("text_encoding", "text_column") else "give another text"
        raise CorpusError(error.message, expected=error.expected, got=got, cure=cure, code=error.code) from None
    if before is not None:
        yield before.text, True


def _document_of(part: Document) -> str:
    """The document that a part is of: `documents` numbers the parts behind its name."""
    return part.name.rpartition("#")[0]


def _corpus(
    model: Model, path: str | Path, by_split: dict[str, NDArray[Any]], validation_bytes: int | None
) -> TextCorpus:
    digest = {split: hashlib.sha256(tokens.tobytes()).hexdigest() for split, tokens in by_split.items()}
    return TextCorpus(
        folder=Path(path),
        address=hashlib.sha256("".join(digest.values()).encode()).hexdigest()[:16],
        tokenizer=model.tokenizer.name,
        vocabulary=model.tokenizer.vocabulary,
        train_tokens=len(by_split["train"]),
        validation_tokens=len(by_split["validation"]),
        validation_bytes=validation_bytes,
        entropy_rate=None,
        sources_sha256=digest["train"],
        validation_sha256=digest["validation"],
        separator=model.tokenizer.separator,
        specials=dict(model.specials),
        fixed_vocabulary=True,
        by_split=by_split,
    )


def builder_for(
    model: Model, corpus: TextCorpus, objective: Objective | str | None, context: int | None
) -> ExampleBuilder:
    """The example builder of a model on a text. Raises DesignError, CorpusError, CheckpointError."""
    model.check_head()
    shape = model.network.shape
    if context is not None and not (type(context) is int and 8 <= context <= shape.context):
        raise DesignError(
            "the model cannot read sequences of this length",
            expected=f"a whole number from 8 to {shape.context}",
            got=f"{context}",
            cure="give another context",
        )
    if objective is None or objective == model.objective.kind:
        objective = model.objective
    elif isinstance(objective, str):
        objective = Objective(kind=objective_kind(objective))
    shape = replace(shape, context=context or shape.context)
    objective.check(shape)
    return examples.example_builder(objective, shape, corpus)


def finite_evaluation(network: Network, builder: ExampleBuilder, corpus: TextCorpus, sequences: int) -> Evaluation:
    """The losses on so many sequences of the held-out split. Raises CheckpointError when they are not finite."""
    evaluation = held_out(network, builder, corpus, sequences)
    if not math.isfinite(evaluation.loss):
        raise CheckpointError(
            "the model has no loss on this text",
            expected="a finite number",
            got=f"{evaluation.loss}",
            cure="take another model: the weights of this one are not finite",
        )
    return evaluation


class _SplitEncoder:
    """Collects the tokens of texts, with a separator after each document where the tokenizer has one."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer, self.dtype = tokenizer, token_dtype(tokenizer.vocabulary)
        self.separator = np.array([] if tokenizer.separator is None else [tokenizer.separator], self.dtype)
        self.parts: list[NDArray[Any]] = []
        self.pending: list[tuple[bytes, bool]] = []
        self.pending_bytes = self.tokens = 0
        self.sizes: list[tuple[int, bool]] = []
        """Bytes of each text, and whether its tokens decode to it."""

    def add(self, text: bytes, ends: bool) -> None:
        self.pending.append((text, ends))
        self.pending_bytes += len(text)
        if self.pending_bytes >= CHUNK_BYTES:
            self._encode()

    def finish(self) -> NDArray[Any]:
        self._encode()
        return np.concatenate(self.parts) if self.parts else np.zeros(0, self.dtype)

    def bytes_of(self, tokens: int) -> int | None:
        """Bytes of text that the first tokens stand for; None where the tokenizer loses some."""
        total = 0
        for part, (size, lossless) in zip(self.parts, self.sizes, strict=True):
            if tokens <= 0:
                break
            if not lossless:
                return None
            total += size if tokens >= len(part) else len(self.tokenizer.decode(part[:tokens]))
            tokens -= len(part)
        return total

    def _encode(self) -> None:
        encoded = self.tokenizer.encode([text for text, _ in self.pending])
        for (text, ends), tokens in zip(self.pending, encoded, strict=True):
            # What is learned here is of bytes and loses nothing; somebody else's tokenizer is tried on each text.
            lossless = not self.tokenizer.fixed_vocabulary or self.tokenizer.decode(tokens) == text
            part = tokens.astype(self.dtype)
            part = np.concatenate([part, self.separator]) if ends else part
            self.parts.append(part)
            self.sizes.append((len(text), lossless))
            self.tokens += len(part)
        self.pending, self.pending_bytes = [], 0
