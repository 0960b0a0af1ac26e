"""How well a model predicts each document of a text, in windows that overlap, and each domain of it.

A window is as long as the context, and the next one begins `stride` tokens later: every token is predicted once, after
at least context - stride tokens of its document, where it has so many.

Shapes: B windows, T positions.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from foretoken.bounded import limit, too_large
from foretoken.data.corpus import source_files
from foretoken.data.formats import check_encoding, read_texts
from foretoken.data.tokenizer import SymbolTokenizer
from foretoken.errors import CorpusError, DesignError
from foretoken.evals.text_corpus import LARGEST_TEXT
from foretoken.generation import Model
from foretoken.generation.model import finite_logits
from foretoken.runs.corpus_section import CorpusSection

BATCH_TOKENS, BY_FOLDER, LONGEST_NAME = 2**13, "folder", 200
"""Positions that are read at once; what `by` is for subfolders; bytes of a domain's name."""


@dataclass(frozen=True, kw_only=True)
class DomainLoss:
    """How well a model predicts the documents of one domain."""

    domain: str
    documents: int
    tokens: int
    """Tokens that were predicted."""
    loss: float
    """Nats per token."""
    loss_se: float | None
    """Its standard error, clustered by document; by window where there is one document; None of a single window."""
    perplexity: float | None
    """By token; None where it is too large for a number."""
    word_perplexity: float | None
    """By word, as blanks part them: it does not depend on the tokenizer."""
    bits_per_byte: float | None
    """None where the tokenizer loses some of the text."""


@dataclass
class _Document:
    """A document and, in the end, the losses of its windows."""

    domain: str
    tokens: list[int]
    bytes: int | None
    """Of what is predicted; None where the tokenizer loses some."""
    words: int
    losses: list[tuple[float, int]] = field(default_factory=list)
    """Nats and predicted tokens of each window."""


class Span(NamedTuple):
    """A window of a document: what is read, and how many of the last tokens after each position are predicted."""

    start: int
    end: int
    predicted: int


def spans(length: int, context: int, stride: int) -> Iterator[Span]:
    """The windows of a document of so many tokens.

    >>> list(spans(8, context=4, stride=2))
    [Span(start=0, end=4, predicted=4), Span(start=2, end=6, predicted=2), Span(start=4, end=7, predicted=1)]
    """
    # the first window has no token before its first, all others have those that they share
    reached = start = 0
    while reached < length - 1:
        end = min(start + context, length - 1)
        yield Span(start, end, end - reached)
        reached, start = end, start + stride


@dataclass(frozen=True, kw_only=True)
class WindowedText:
    """A text, where its documents are, and how it is read."""

    path: str | Path
    column: str
    encoding: str
    by: str
    """A column, `folder`, or nothing."""
    tokens: int
    """Read at most."""


def domain_losses(model: Model, text: WindowedText, context: int, stride: int) -> tuple[list[DomainLoss], int]:
    """The losses of the whole text, first, and of each domain by its name; and the number of windows.

    Raises DesignError for a stride that leaves tokens out, CorpusError for a text that cannot be read.
    """
    if not 1 <= stride <= context:
        raise DesignError(
            "the stride of windows is no longer than they are",
            expected=f"1 to {context} tokens",
            got=f"{stride}",
            cure="give a shorter stride, or a longer context",
        )
    found = [document for document in _documents(model, text) if len(document.tokens) > 1]
    if not found:
        raise CorpusError("no document has two tokens", expected="a text", got=str(text.path), cure="give more text")
    _predict(model, found, context, stride)
    by_name = defaultdict(list)
    for document in found:
        by_name[document.domain].append(document)
    named = [_loss_of(name, by_name[name]) for name in sorted(by_name)] if text.by else []
    return [_loss_of("", found), *named], sum(len(document.losses) for document in found)


@torch.inference_mode()
def _predict(model: Model, documents: Sequence[_Document], context: int, stride: int) -> None:
    """Note the losses of every window at its document; windows of one length are read side by side."""
    by_length = defaultdict(list)
    for document in documents:
        for span in spans(len(document.tokens), context, stride):
            by_length[span.end - span.start].append((document, span))
    for length, windows in by_length.items():
        rows = max(1, BATCH_TOKENS // length)
        for first in range(0, len(windows), rows):
            batch = windows[first : first + rows]
            tokens_BT = torch.tensor([document.tokens[span.start : span.end + 1] for document, span in batch])
            logprobs_BTV = finite_logits(model.network(tokens_BT[:, :-1])).log_softmax(-1)
            each_BT = -logprobs_BTV.gather(2, tokens_BT[:, 1:, None])[..., 0].double()
            for (document, span), losses_T in zip(batch, each_BT, strict=True):
                document.losses.append((float(losses_T[-span.predicted :].sum()), span.predicted))


def _documents(model: Model, text: WindowedText) -> Iterator[_Document]:
    """The documents, each after the token that parts documents, up to so many tokens in all."""
    tokenizer, read, size = model.tokenizer, 0, 0
    if isinstance(tokenizer, SymbolTokenizer):
        raise CorpusError(
            "this model was trained on a synthetic language, which has symbols and no text",
            expected="a model that was trained on text",
            got=model.name,
        )
    for domain, content in _texts(text):
        size += len(content)
        if size > limit(LARGEST_TEXT):
            raise too_large(f"the text {text.path}, which is kept in memory,", LARGEST_TEXT, "bytes", CorpusError)
        (encoded,) = tokenizer.encode([content])
        encoded = encoded[: text.tokens - read]
        decoded = tokenizer.decode(np.asarray(encoded))
        lossless, begun = content.startswith(decoded), 0 if tokenizer.separator is not None else 1
        before = [] if tokenizer.separator is None else [tokenizer.separator]
        unpredicted = len(tokenizer.decode(np.asarray(encoded[:begun]))) if begun and len(encoded) else 0
        read += len(encoded)
        words = len(decoded.decode(errors="replace").split())
        predicted = len(decoded) - unpredicted if lossless else None
        yield _Document(domain, [*before, *map(int, encoded)], predicted, words)
        if read >= text.tokens:
            return


def _texts(text: WindowedText) -> Iterator[tuple[str, bytes]]:
    """The domain and the content of every text that is not empty."""
    section = CorpusSection(source="text", path=str(text.path), column=text.column)
    for file in source_files(section):
        contents = (b"".join(blocks) for blocks in read_texts(file.path, text.column, check_encoding(text.encoding)))
        if text.by in ("", BY_FOLDER):
            domain = str(Path(file.name).parent) if text.by else ""
            yield from ((domain, content) for content in contents if content)
            continue
        # the same rows are read twice, side by side: once for the text, once for the name
        names = (b"".join(blocks) for blocks in read_texts(file.path, text.by, text.encoding))
        for name, content in zip(names, contents, strict=False):
            if len(name) > LONGEST_NAME:
                got = f"{len(name)} bytes in {file.name}"
                cure = "name the column that says where a text is from, or folder for subfolders"
                raise CorpusError(f"{text.by} is no domain", expected="a short name", got=got, cure=cure)
            if content:
                yield name.decode(errors="replace"), content


def _loss_of(name: str, documents: Sequence[_Document]) -> DomainLoss:
    units = [[sum(part) for part in zip(*document.losses, strict=True)] for document in documents]
    # one document has no spread of its own
    if len(units) == 1:
        units = [list(window) for window in documents[0].losses]
    nats, counts = np.array(units, float).T
    total, tokens = float(nats.sum()), int(counts.sum())
    loss, units_left = total / tokens, nats - total / tokens * counts
    # Of a ratio of sums, by the delta method (Cochran, Sampling Techniques, 1977, section 2.11).
    error = math.sqrt(float(np.sum(units_left**2)) * len(nats) / (len(nats) - 1)) / tokens if len(nats) > 1 else None
    sizes, words = [document.bytes for document in documents], sum(document.words for document in documents)
    known = sum(size for size in sizes if size is not None)
    return DomainLoss(
        domain=name,
        documents=len(documents),
        tokens=tokens,
        loss=loss,
        loss_se=error,
        perplexity=_exponential(loss),
        word_perplexity=_exponential(total / words) if words else None,
        bits_per_byte=total / math.log(2) / known if known and None not in sizes else None,
    )


def _exponential(nats: float) -> float | None:
    return math.exp(nats) if nats < 700 else None
