"""Documents of tasks made by code, alone or between those of a text, so that each task has its share of the tokens.

Shares hold in each split on its own and after every document, to within the length of the longest one: whatever is
behind its share is written next.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from foretoken.runs.corpus_section import CorpusSection
from foretoken.runs.task_section import TaskSection
from foretoken.tasks.makers import MAKERS

STEP_TOKENS = 4096
"""Tokens of text that tasks alone are made of before the shares are compared again."""
Split = Literal["train", "validation"]
Size = Callable[[bytes], int]


@dataclass(frozen=True)
class Document:
    """What goes as a whole to training or to validation."""

    name: str
    text: bytes
    split: Split | None = None
    """Where it goes, if whoever made it says so; otherwise its own content decides."""
    task: str = ""
    """The title of the task that it is of."""
    tokens: int = 0
    """Of a task's: as its share was counted."""

    def split_at(self, share: float) -> Split:
        """Where it goes when so large a share is held out."""
        return self.split or ("validation" if is_validation(self.text, share) else "train")


def is_validation(text: bytes, share: float) -> bool:
    """Whether a document is held out: its own content decides, so it never moves when others come or go."""
    # The first 8 bytes of the hash are a uniform number below 2^64.
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") < share * 2**64


def bytes_and_end(text: bytes) -> int:
    """Tokens of a document whose tokens are its bytes, with the one that ends it."""
    return len(text) + 1


def with_tasks(texts: Iterable[Document], corpus: CorpusSection, seed: int, size: Size) -> Iterator[Document]:
    """The documents of a text, and between them those of the tasks of a corpus.

    `size` counts the tokens of a document.
    """
    mixtures: dict[Split, _Mixture] = {split: _Mixture(split, corpus, seed, size) for split in ("train", "validation")}
    rest, tokens = 1 - sum(corpus.task_shares), dict.fromkeys(mixtures, 0)
    for document in texts:
        split = document.split_at(corpus.validation_share)
        tokens[split] += size(document.text)
        yield document
        yield from mixtures[split].up_to(tokens[split] / rest)
    if corpus.source == "tasks":
        for first in range(0, int(corpus.tokens), STEP_TOKENS):
            total = min(first + STEP_TOKENS, int(corpus.tokens))
            yield from mixtures["train"].up_to(total * (1 - corpus.validation_share))
            yield from mixtures["validation"].up_to(total * corpus.validation_share)


class _Mixture:
    """The tasks' documents of one split."""

    def __init__(self, split: Split, corpus: CorpusSection, seed: int, size: Size) -> None:
        self.parts = [
            _Part(task, share, split, seed) for task, share in zip(corpus.tasks, corpus.task_shares, strict=True)
        ]
        self.split, self.size = split, size

    def up_to(self, total: float) -> Iterator[Document]:
        """Documents of whichever task is the furthest behind its share of `total` tokens, until none is."""
        while (part := max(self.parts, key=lambda part: part.share * total - part.tokens)).share * total > part.tokens:
            text = next(part.texts).encode()
            tokens, title = self.size(text), part.task.title
            yield Document(f"{title}#{self.split}-{part.documents}", text, self.split, title, tokens)
            part.tokens += tokens
            part.documents += 1


@dataclass
class _Part:
    """One task in one split, as far as it has been made."""

    task: TaskSection
    share: float
    split: Split
    seed: int
    tokens: int = 0
    documents: int = 0
    texts: Iterator[str] = field(init=False)

    def __post_init__(self) -> None:
        self.texts = MAKERS[self.task.name](self.task, self.seed).texts(self.split)
