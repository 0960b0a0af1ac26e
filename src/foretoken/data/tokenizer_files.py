"""Tokenizers by themselves: learned from texts or from the training split of a study, and opened from files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from foretoken.arguments import did_you_mean, named_arguments
from foretoken.data.corpus import documents
from foretoken.data.formats import UTF8, check_encoding
from foretoken.data.learning import LEARNERS, learn
from foretoken.data.packing import training_texts
from foretoken.data.subword import (
    FILE,
    KNOWN_SEPARATORS,
    SubwordTokenizer,
    foreign_tokenizer,
    read_tokenizer_json,
)
from foretoken.data.tokenized import TokenizedCorpus, read_manifest
from foretoken.data.tokenizer import SYMBOLS, TOKENIZER, ByteTokenizer, SymbolTokenizer, Tokenizer, tokenizer_from_json
from foretoken.data.tokenizer_measures import TokenizerDescription, describe_tokenizer
from foretoken.errors import CorpusError, shown
from foretoken.runs.corpus_section import CorpusSection
from foretoken.runs.study_file import Study

KINDS = ("byte", *LEARNERS)


@named_arguments
def train_tokenizer(
    *sources: str | Path | Study,
    text: str = "",
    kind: str = "bpe",
    vocabulary: int | None = None,
    column: str = "text",
    encoding: str = UTF8,
) -> ByteTokenizer | SubwordTokenizer:
    """Learn a tokenizer from files and folders, from the training split of a study, or from a text.

    `kind` is byte, bpe, wordpiece, unigram or plain (bpe of characters, across words); `vocabulary` the number of
    tokens, special ones included (512; a byte tokenizer has 256); `column` holds the text in .jsonl, .csv and .parquet,
    and `encoding` is theirs (gb18030, latin-1, ...).
    Raises CorpusError for text that cannot be read, no text, and a vocabulary that cannot be.

    >>> train_tokenizer(text="aaabdaaabac", kind="plain", vocabulary=7).vocabulary
    7
    """
    if kind not in KINDS:
        cure = did_you_mean(kind, KINDS)
        raise CorpusError("no such kind of tokenizer", expected=", ".join(KINDS), got=shown(kind), cure=cure)
    if kind == "byte":
        if vocabulary not in (None, 256):
            raise CorpusError("a byte tokenizer has 256 tokens", got=str(vocabulary), cure="leave the vocabulary out")
        return ByteTokenizer()
    texts = chain([text.encode()] if text else [], *(_texts(source, column, encoding) for source in sources))
    first = next(texts, None)
    if first is None:
        raise CorpusError("there is nothing to learn a tokenizer from", cure="give files, a study or a text")
    return learn(kind, chain([first], texts), 512 if vocabulary is None else vocabulary)


def _texts(source: str | Path | Study, column: str, encoding: str) -> Iterator[bytes]:
    if not isinstance(source, Study):
        section = CorpusSection(source="text", path=str(source), column=column, encoding=check_encoding(encoding))
        return (document.text for document in documents(section))
    if source.corpus.source == "zipf_markov":
        raise CorpusError(f"the study {source.name} has a synthetic language, not text", cure="give text")
    return training_texts(source.corpus, source.seed)


@named_arguments
def load_tokenizer(path: str | Path) -> Tokenizer:
    """A tokenizer from a file of the package `tokenizers` or of a tokenised corpus, or from a folder with one.

    It has a separator where one is known (`read_tokenizer` asks for it). Raises CorpusError when it cannot be read.
    """
    path = Path(path)
    values = read_tokenizer_json(path / TOKENIZER if path.is_dir() else path)
    if "kind" in values and "model" not in values:
        return _corpus_tokenizer_from_json(values, path)
    tokenizer = foreign_tokenizer(values, str(path))
    known = [name for name in KNOWN_SEPARATORS if name in tokenizer.ids]
    tokenizer.end_documents_with(known[0] if len(known) == 1 else None)
    return tokenizer


def _corpus_tokenizer_from_json(values: dict[str, Any], path: Path) -> Tokenizer:
    """The tokenizer of a tokenised corpus, if the values have what its kind needs."""
    kind = values["kind"]
    learned = kind in (*LEARNERS, FILE) and isinstance(values.get("definition"), dict)
    symbols = kind == SYMBOLS and isinstance(values.get("vocabulary"), int)
    if not (learned or symbols or kind == ByteTokenizer.name):
        raise CorpusError(f"{path} is no tokenizer", expected=", ".join(KINDS), got=shown(kind))
    return tokenizer_from_json(values)


def held_out_texts(corpus: TokenizedCorpus, tokenizer: Tokenizer, most_tokens: int = 2**20) -> Iterable[bytes]:
    """The first documents of the validation split, from their tokens; none of a synthetic language."""
    if isinstance(tokenizer, SymbolTokenizer):
        return
    start, tokens = 0, corpus.tokens("validation")[:most_tokens]
    for end in (tokens == tokenizer.separator).nonzero()[0]:
        yield tokenizer.decode(tokens[start:end])
        start = end + 1


def describe_corpus(corpus: TokenizedCorpus, first: int = 20) -> TokenizerDescription:
    """As `describe_tokenizer`, with the held-out text of a tokenised corpus; the losses are those of all of it."""
    tokenizer = load_tokenizer(corpus.folder)
    description = describe_tokenizer(tokenizer, held_out_texts(corpus, tokenizer), first)
    counts = read_manifest(corpus.folder).splits["validation"]
    if description.text is None or counts.lost_documents is None or counts.unknown_tokens is None:
        return description
    # The texts were decoded from tokens, so they seem unchanged; packing compared them with the originals.
    measures = replace(
        description.text,
        unknown_share=counts.unknown_tokens / counts.tokens,
        unchanged_share=1 - counts.lost_documents / counts.documents,
    )
    return replace(description, text=measures)
