"""Learning a tokenizer from text: byte-pair encoding, WordPiece, Unigram. The same texts give the same tokenizer.

All but `plain` are of bytes: each byte of a text is written as one printable character (as GPT-2 does), and all these
characters are tokens, so that no text is unknown. Words are cut as GPT-2 cuts them, with the blank before a word in it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from foretoken.data.subword import (
    CLS,
    END_OF_TEXT,
    LARGEST_VOCABULARY,
    MASK,
    PAD,
    SEP,
    UNK,
    SubwordTokenizer,
    canonical,
    the_package,
)
from foretoken.errors import CorpusError

LEARNING_BYTES = 256 * 2**20
"""Text that a tokenizer is learned on, at most: the beginning of the training split."""
CONTINUES = "##"
SPECIALS = [PAD, UNK, CLS, SEP, MASK]
"""The special tokens of WordPiece and Unigram, in the order of their ids (that of BERT's first ones)."""
LONGEST_WORD = 64
"""Bytes of the longest word of WordPiece; its search takes the square of them. A longer one is cut."""
IMPOSSIBLE_BYTES = (0xC0, 0xC1, *range(0xF5, 0x100))
"""Bytes that no UTF-8 text holds (RFC 3629)."""


def learn(kind: str, texts: Iterable[bytes], vocabulary: int) -> SubwordTokenizer:
    """Learn a tokenizer of exactly that many tokens, special ones included.

    `kind` is bpe, wordpiece, unigram, or plain (byte-pair encoding of characters as they are, in texts as they are).
    Raises CorpusError when the texts give fewer tokens, or when that many do not hold the alphabet.

    >>> textbook = learn("plain", [b"aaabdaaabac"], vocabulary=7)
    >>> [a + b for a, b in textbook.model_json["merges"]]
    ['aa', 'ab', 'aaab']
    """
    if vocabulary > LARGEST_VOCABULARY:
        raise _wrong_size("too large", vocabulary, f"at most {LARGEST_VOCABULARY}", LARGEST_VOCABULARY)
    if vocabulary < SMALLEST[kind]:
        raise _too_small(vocabulary, SMALLEST[kind])
    tokenizer = LEARNERS[kind]((text.decode() for text in _beginning(texts)), vocabulary)
    reached = tokenizer.get_vocab_size()
    left = "keep" if LEARNERS[kind] is _unigram else "merge"
    if reached < vocabulary:
        raise CorpusError(
            "the vocabulary is larger than the text can give",
            expected=f"{vocabulary} tokens",
            got=f"{reached} tokens, then nothing was left to {left}",
            cure=f"set corpus.vocabulary (--vocabulary) to at most {reached}, or give more text",
        )
    if reached > vocabulary:
        raise _too_small(vocabulary, reached)
    return SubwordTokenizer(kind, canonical(json.loads(tokenizer.to_str())))


def _too_small(vocabulary: int, smallest: int) -> CorpusError:
    return _wrong_size("too small", vocabulary, f"at least {smallest}: the alphabet and the special tokens", smallest)


def _wrong_size(what: str, got: int, expected: str, cure: int) -> CorpusError:
    return CorpusError(
        f"the vocabulary is {what}",
        expected=expected,
        got=f"{got} tokens",
        cure=f"set corpus.vocabulary (--vocabulary) to {cure}",
    )


def _bpe(texts: Iterable[str], vocabulary: int) -> Any:
    """Merge the most frequent pair of neighbours, again and again (Sennrich et al. 2016; of bytes: GPT-2, 2019)."""
    # All 256 bytes are in the alphabet from the start, so even text that was never seen has tokens.
    tokenizer = _byte_level("BPE")
    _train(tokenizer, texts, "Bpe", vocabulary, [END_OF_TEXT], sorted(byte_characters()))
    return tokenizer


def _plain(texts: Iterable[str], vocabulary: int) -> Any:
    """Byte-pair encoding of characters, with no words and no special tokens (Gage 1994), as textbooks show it."""
    package = the_package()
    tokenizer = package.Tokenizer(package.models.BPE())
    tokenizer.decoder = package.decoders.Fuse()
    _train(tokenizer, texts, "Bpe", vocabulary, [], [])
    return tokenizer


def _wordpiece(texts: Iterable[str], vocabulary: int) -> Any:
    """Pieces as byte-pair encoding learns them; a text is cut into the longest that fit (BERT, Devlin et al. 2018).

    A piece inside a word begins with ##. The trainer numbers pieces inside words as its hash table comes, which decides
    ties, unless they are there before: so they are given to it as if they were special tokens.
    The character # stands alone: the token ### would else be both the third of a word's first three and # inside one.
    """
    package, learner = the_package(), _byte_level("BPE", continuing_subword_prefix=CONTINUES)
    words = package.pre_tokenizers.Split(package.Regex(f"#|[^#]{{1,{LONGEST_WORD}}}"), "isolated")
    # The learner and the finished tokenizer must cut alike, or pieces would be learned that never occur.
    learner.pre_tokenizer = cut = package.pre_tokenizers.Sequence([learner.pre_tokenizer, words])
    alphabet = _alphabet()
    inside = [CONTINUES + character for character in alphabet if character != "#"]
    _train(learner, texts, "Bpe", vocabulary, [*SPECIALS, *inside], alphabet, continuing_subword_prefix=CONTINUES)
    model = package.models.WordPiece(learner.get_vocab(), unk_token=UNK, max_input_chars_per_word=LONGEST_WORD)
    tokenizer = package.Tokenizer(model)
    tokenizer.pre_tokenizer = cut
    tokenizer.decoder = package.decoders.Sequence(
        [package.decoders.Replace(package.Regex(f"^{CONTINUES}"), ""), package.decoders.ByteLevel()]
    )
    tokenizer.add_special_tokens(SPECIALS)
    return tokenizer


def _unigram(texts: Iterable[str], vocabulary: int) -> Any:
    """Pieces with probabilities, pruned from many; a text is cut in the most probable way (Kudo 2018)."""
    learner = _byte_level("Unigram")
    _train(learner, texts, "Unigram", vocabulary, SPECIALS, _alphabet(), unk_token=UNK)
    # The trainer puts the special tokens first; they get the score 0 that it gives them, which no text ever uses.
    pieces = json.loads(learner.to_str())["model"]["vocab"][len(SPECIALS) :]
    scores = [*((name, 0.0) for name in SPECIALS), *_reproducible(pieces, vocabulary - len(SPECIALS))]
    tokenizer = _byte_level("Unigram", vocab=scores, unk_id=SPECIALS.index(UNK), byte_fallback=False)
    tokenizer.add_special_tokens(SPECIALS)
    return tokenizer


def _reproducible(pieces: list[tuple[str, float]], room: int) -> list[tuple[str, float]]:
    """Pieces and scores without what differs between two runs of the trainer, the best first.

    Its sums differ in their last digits, and the characters that it kept for the alphabet's sake alone get, as its hash
    table comes, scores in steps of 1e-4 above the lowest: they all get the lowest. There may be more pieces than `room`
    when the alphabet alone fills it.
    """
    lowest = min(score for _, score in pieces)
    # The trainer adds characters that were pruned back at lowest + 1e-4, lowest + 2e-4, ... in the table's order.
    highest_restored = lowest + 1e-4 * (len(_alphabet()) + 1)
    levelled = [(piece, lowest if len(piece) == 1 and score < highest_restored else score) for piece, score in pieces]
    best = sorted(((piece, round(score, 4)) for piece, score in levelled), key=lambda scored: (-scored[1], scored[0]))
    longer = set([piece for piece, _ in best if len(piece) > 1][: room - len(_alphabet())])
    return [(piece, score) for piece, score in best if len(piece) == 1 or piece in longer]


LEARNERS: dict[str, Callable[[Iterable[str], int], Any]] = {
    "bpe": _bpe,
    "wordpiece": _wordpiece,
    "unigram": _unigram,
    "plain": _plain,
}


def _byte_level(model: str, **arguments: Any) -> Any:
    """A tokenizer of bytes that is not trained yet."""
    package = the_package()
    tokenizer = package.Tokenizer(getattr(package.models, model)(**arguments))
    tokenizer.pre_tokenizer = package.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = package.decoders.ByteLevel()
    return tokenizer


def byte_definition_json() -> dict[str, Any]:
    """The bytes themselves as a tokenizer of the package: byte-pair encoding without merges."""
    ids = {character: byte for byte, character in enumerate(byte_characters())}
    definition: dict[str, Any] = json.loads(_byte_level("BPE", vocab=ids, merges=[]).to_str())
    return definition


def _train(
    tokenizer: Any,
    texts: Iterable[str],
    kind: str,
    vocabulary: int,
    specials: list[str],
    alphabet: list[str],
    **more: Any,
) -> None:
    trainer = getattr(the_package().trainers, f"{kind}Trainer")(
        vocab_size=vocabulary, special_tokens=specials, initial_alphabet=alphabet, show_progress=False, **more
    )
    tokenizer.train_from_iterator(texts, trainer)


def byte_characters() -> list[str]:
    """The printable character that stands for each byte, at the byte's place: GPT-2's table.

    >>> byte_characters()[ord(" ")], byte_characters()[ord("a")]
    ('Ġ', 'a')
    """
    # The printable characters of Latin-1 stand for their own bytes; 0xAD is the invisible soft hyphen.
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]


def _alphabet() -> list[str]:
    """The characters of the bytes that a text may hold."""
    return sorted(character for byte, character in enumerate(byte_characters()) if byte not in IMPOSSIBLE_BYTES)


SMALLEST = {
    "bpe": 1 + 256,
    "wordpiece": len(SPECIALS) + 2 * len(_alphabet()) - 1,  # each byte in front and inside of a word, # in front only
    "unigram": len(SPECIALS) + len(_alphabet()),
    "plain": 1,
}
"""Tokens that a kind has before it learns any."""


def _beginning(texts: Iterable[bytes]) -> Iterator[bytes]:
    read = 0
    for text in texts:
        yield text
        read += len(text)
        if read >= LEARNING_BYTES:
            return
