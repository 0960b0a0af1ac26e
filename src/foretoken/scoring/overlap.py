"""Which questions of a task stand in a training text, by long runs of words (Brown et al. 2020, arXiv 2005.14165, C).

Words are letters and digits in lower case, and in scripts without blanks single characters, so that case, punctuation
and line breaks hide nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from foretoken.data.corpus import documents
from foretoken.errors import CorpusError, TaskError
from foretoken.runs.corpus_section import CorpusSection
from foretoken.runs.study_file import load_study
from foretoken.tasks import Question

WORDS, LEAST_WORDS, LEAST_BYTES = 13, 8, 50
"""A question stands in a text if so many words of it in a row do; all of it, where it has fewer, if these are at least
so many words or bytes. Shorter ones would be found by chance, and count as not judged."""
_WORD = re.compile(r"[぀-ヿ㐀-鿿가-힯]|[^\W_぀-ヿ㐀-鿿가-힯]+")
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
"""An odd number whose powers mix the bits of the hashes of words."""
Hashes = NDArray[np.uint64]


def words_of(text: str) -> list[str]:
    """The words of a text, as they are compared.

    >>> words_of("Two red_Foxes, 2!"), words_of("日本")
    (['two', 'red', 'foxes', '2'], ['日', '本'])
    """
    return _WORD.findall(text.lower())


def overlapping(texts: Sequence[str], training: Iterable[str]) -> list[bool | None]:
    """Whether each text stands in the training text; None where it is too short to be judged.

    >>> text = "it was the best of times it was the worst of times"
    >>> overlapping([text.title(), "an entirely other text of about as many words as that one", "it"], [f"So {text}."])
    [True, False, None]
    """
    runs = [_runs(words_of(text)) for text in texts]
    wanted: dict[int, list[Hashes]] = {}
    for length, hashes in runs:
        if length:
            wanted.setdefault(length, []).append(hashes)
    keys = {length: np.unique(np.concatenate(parts)) for length, parts in wanted.items()}
    found = {length: np.zeros(len(of_length), bool) for length, of_length in keys.items()}
    # the training text is read once, however many questions there are
    for text in training:
        words = _hashes(words_of(text))
        for length, of_length in keys.items():
            if len(words) >= length:
                found[length] |= np.isin(of_length, _windows(words, length))
    standing = {length: of_length[found[length]] for length, of_length in keys.items()}
    return [bool(np.isin(hashes, standing[length]).any()) if length else None for length, hashes in runs]


def _runs(words: list[str]) -> tuple[int, Hashes]:
    """The length of the runs of words that are looked for, 0 for none, and their hashes."""
    length = min(WORDS, len(words))
    if length < LEAST_WORDS and len("".join(words).encode()) < LEAST_BYTES:
        return 0, np.zeros(0, np.uint64)
    return length, _windows(_hashes(words), length)


def _hashes(words: list[str]) -> Hashes:
    # hashes of strings differ between processes, and never leave this one
    return np.fromiter(map(hash, words), np.int64, len(words)).view(np.uint64)


def _windows(words: Hashes, length: int) -> Hashes:
    """A hash of each run of so many words; products wrap around, as those of hashes may."""
    total = np.zeros(len(words) - length + 1, np.uint64)
    for place in range(length):
        total = total * _FACTOR + words[place : place + len(total)]
    return total


def question_text(question: Question) -> str:
    """What is looked for of a question: it and its answer."""
    return f"{question.prompt} {question.solved}"


def training_texts(source: str | Path) -> Iterator[str]:
    """The documents of a text, a file or a folder, or of the corpus of a study file. Raises what `check_training` does,
    and CorpusError for what is no text.
    """
    for document in documents(check_training(source)):
        yield document.text.decode("utf-8", "replace")


def check_training(source: str | Path) -> CorpusSection:
    """Where a training text is. Raises CorpusError for one that is missing, TaskError for a study without one."""
    path = Path(source).expanduser()
    if path.suffix == ".toml":
        study = load_study(path)
        if study.corpus.source == "zipf_markov":
            raise TaskError(
                f"the study {study.name} has no text to compare with",
                expected="a study that trains on text",
                got="a synthetic language",
                cure="give the text itself",
            )
        return study.corpus
    if not path.exists():
        raise CorpusError(f"the text {path} is missing", expected="a file, a folder, or a study file", got=str(path))
    return CorpusSection(source="text", path=str(path))
