"""Learning a tokenizer: the exact size, the textbook's merges, and the same result on any day."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from foretoken.data import learning
from foretoken.data.learning import SMALLEST, learn
from foretoken.errors import CorpusError

TEXTS = [f"the cat number {n} sat on mat {n * n}, said été no. {n % 7}\n".encode() for n in range(400)]
KINDS = ["bpe", "wordpiece", "unigram"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("more", [0, 1, 37])
def test_the_vocabulary_is_the_one_asked_for(kind: str, more: int) -> None:
    size = SMALLEST[kind] + more
    tokenizer = learn(kind, TEXTS, size)
    assert tokenizer.vocabulary == size == len(tokenizer.ids)
    assert sorted(tokenizer.ids.values()) == list(range(size))
    assert tokenizer.name.startswith(f"{kind}-{size}-")


@pytest.mark.parametrize("kind", KINDS)
def test_a_vocabulary_beyond_the_text_is_refused_with_the_size_that_it_gives(kind: str) -> None:
    with pytest.raises(CorpusError, match=r"(?s)expected: 5000 tokens.*got: (\d+) tokens.*to at most \1,"):
        learn(kind, [b"abcabc abcabc"], 5000)


@pytest.mark.parametrize("kind", KINDS)
def test_a_vocabulary_without_room_for_the_bytes_is_refused_with_the_smallest(kind: str) -> None:
    with pytest.raises(CorpusError, match=rf"too small\n.*at least {SMALLEST[kind]}"):
        learn(kind, TEXTS, SMALLEST[kind] - 1)


def test_a_vocabulary_without_end_is_refused() -> None:
    with pytest.raises(CorpusError, match="at most 1000000"):
        learn("bpe", TEXTS, 10**9)


def test_the_textbook_example() -> None:
    """aaabdaaabac: Z = aa, Y = ab (as often as Za, and older), X = ZY, which leaves XdXac."""
    tokenizer = learn("plain", [b"aaabdaaabac"], vocabulary=7)
    merges = tokenizer.model_json["merges"]
    assert [tuple(pair) for pair in merges] == [("a", "a"), ("a", "b"), ("aa", "ab")]
    (tokens,) = tokenizer.encode([b"aaabdaaabac"])
    letters = {"aaab": "X", "d": "d", "a": "a", "c": "c"}
    assert "".join(letters[tokenizer.names[int(token)]] for token in tokens) == "XdXac"
    assert tokenizer.decode(tokens) == b"aaabdaaabac"


def test_of_equally_frequent_pairs_the_one_of_older_tokens_is_merged_first() -> None:
    assert learn("plain", [b"cdcd abab"], vocabulary=6).model_json["merges"] == [["a", "b"]]
    assert learn("plain", [b"abab cdcd"], vocabulary=6).model_json["merges"] == [["a", "b"]]


def test_other_text_gives_another_name() -> None:
    for kind in KINDS:
        assert (
            learn(kind, TEXTS, 540 if kind == "wordpiece" else 300).name
            != learn(kind, TEXTS[:200], 540 if kind == "wordpiece" else 300).name
        )


LEARN = """
import sys
from foretoken.data.learning import learn
texts = [f"the cat number {n} sat on mat {n * n}, said été no. {n % 7}\\n".encode() for n in range(400)]
print([learn(kind, texts, size).name for kind in ("bpe", "wordpiece", "unigram") for size in (540, 600)])
"""


def test_the_same_text_gives_the_same_tokenizer_in_any_process_with_any_threads() -> None:
    """The package's hash tables are in another order in each process, and its sums depend on the threads."""
    settings = [{"RAYON_NUM_THREADS": "1"}, {"RAYON_NUM_THREADS": "3"}, {"TOKENIZERS_PARALLELISM": "false"}]
    command = [sys.executable, "-c", LEARN]
    started = [subprocess.Popen(command, env=os.environ | one, stdout=subprocess.PIPE, text=True) for one in settings]
    names = {process.communicate(timeout=60)[0] for process in started}
    assert len(names) == 1
    assert "unigram-600" in names.pop()


def test_symmetric_text_settles_its_ties_alike() -> None:
    """Every pair is as frequent as many others: what a hash table's order would decide."""
    words = [a * 3 + b * 2 + a for a, b in zip("abcdefghijklm", "bcdefghijklma", strict=True)]
    texts = [" ".join(words).encode()] * 20
    for kind, size in {"bpe": 270, "wordpiece": 500, "unigram": 256}.items():
        assert len({learn(kind, texts, size).name for _ in range(5)}) == 1


def test_only_the_beginning_of_a_long_text_is_learned_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "LEARNING_BYTES", sum(map(len, TEXTS[:100])))
    assert learn("bpe", TEXTS, 280).name == learn("bpe", TEXTS[:100], 280).name
