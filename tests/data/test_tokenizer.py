"""Tokenizers: what goes in comes out, and nothing depends on the day."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.data.learning import byte_characters, learn
from foretoken.data.subword import END_OF_TEXT, SubwordTokenizer
from foretoken.data.tokenizer import ByteTokenizer, SymbolTokenizer, Tokenizer, tokenizer_from_json
from foretoken.errors import MissingExtraError

TEXTS = [f"the cat number {n} sat on mat {n * n}, said été no. {n % 7}\n".encode() for n in range(400)]
LEARNED = {kind: learn(kind, TEXTS, size) for kind, size in {"bpe": 300, "wordpiece": 540, "unigram": 300}.items()}
BPE = LEARNED["bpe"]
TOKENIZERS: dict[str, Tokenizer] = {"byte": ByteTokenizer(), **LEARNED}
AWKWARD = [
    "##a",
    "a#b ### #",
    "[MASK][SEP] [UNK]",
    "</s><s>",
    END_OF_TEXT,
    "Ġ▁ Ċ",
    "x" * 200,
    "\r\n \t",
    "汉é",
    "�",
    "\x01",
]
any_text = st.lists(
    st.sampled_from(AWKWARD) | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), max_size=4
).map(lambda parts: "".join(parts).encode())


@pytest.mark.parametrize("kind", TOKENIZERS)
@settings(deadline=None)
@given(texts=st.lists(any_text, max_size=5))
def test_text_survives(kind: str, texts: list[bytes]) -> None:
    tokenizer = TOKENIZERS[kind]
    encoded = tokenizer.encode(texts)
    assert [tokenizer.decode(tokens) for tokens in encoded] == texts
    for tokens in encoded:
        assert np.all(tokens < tokenizer.vocabulary)
        assert not {*tokenizer.specials.values(), tokenizer.separator} & {*tokens.tolist()}


def test_each_character_comes_back_whatever_was_learned() -> None:
    every = "".join(chr(code) for code in range(1, 0x3000)).encode()
    for tokenizer in TOKENIZERS.values():
        assert tokenizer.decode(tokenizer.encode([every])[0]) == every


def test_byte_vocabulary_is_256_with_nul_between_documents() -> None:
    assert (ByteTokenizer().vocabulary, ByteTokenizer().separator) == (256, 0)


@pytest.mark.parametrize("kind", LEARNED)
def test_the_name_of_a_special_token_in_a_text_is_text(kind: str) -> None:
    tokenizer = LEARNED[kind]
    for name in (END_OF_TEXT, "[SEP]", "[MASK]", "[UNK]"):
        (tokens,) = tokenizer.encode([f"a {name} b{name}".encode()])
        assert not set(tokens.tolist()) & set(tokenizer.specials.values())


def test_special_tokens_are_those_of_the_kind() -> None:
    customary = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4}
    assert {kind: one.specials for kind, one in TOKENIZERS.items()} == {
        "byte": {}, "bpe": {END_OF_TEXT: 0}, "wordpiece": customary, "unigram": customary,
    }  # fmt: skip
    assert [one.separator for one in TOKENIZERS.values()] == [0, 0, 3, 3]
    assert not any(one.fixed_vocabulary for one in TOKENIZERS.values())


@pytest.mark.parametrize("kind", LEARNED)
def test_a_token_holds_more_than_a_byte(kind: str) -> None:
    share = {"bpe": 0.6, "wordpiece": 0.6, "unigram": 1.0}[kind]
    assert sum(map(len, LEARNED[kind].encode(TEXTS))) < share * sum(map(len, TEXTS))


def test_pieces_inside_a_word_begin_with_two_hashes() -> None:
    tokenizer = LEARNED["wordpiece"]
    (tokens,) = tokenizer.encode([b"cat mat zzz"])
    words = "".join(tokenizer.names[int(token)] for token in tokens).replace("##", "")
    assert words == "catĠmatĠzzz"
    assert [name for token in tokens if (name := tokenizer.names[int(token)]).startswith("##")][-2:] == ["##z", "##z"]
    assert "###" not in tokenizer.ids


def test_wordpiece_takes_the_longest_piece_that_fits() -> None:
    tokenizer = LEARNED["wordpiece"]
    (first, *_) = tokenizer.encode([b" number"])[0]
    longest = max((name for name in tokenizer.ids if "Ġnumber".startswith(name)), key=len)
    assert tokenizer.names[int(first)] == longest


def test_unigram_scores_are_log_probabilities_and_fall_with_the_number() -> None:
    scores = [score for _, score in LEARNED["unigram"].model_json["vocab"]][5:]
    assert scores == sorted(scores, reverse=True)
    assert max(scores) < 0
    assert sum(np.exp(scores)) == pytest.approx(1, abs=0.05)


def test_bytes_are_written_as_gpt_2_writes_them() -> None:
    from tokenizers.pre_tokenizers import ByteLevel

    assert sorted(byte_characters()) == sorted(ByteLevel.alphabet())
    assert "".join(byte_characters()[byte] for byte in "\n é".encode()) == "ĊĠÃ©"


@pytest.mark.parametrize("name", [*TOKENIZERS, "symbols"])
def test_tokenizers_survive_plain_json(name: str) -> None:
    tokenizer = {**TOKENIZERS, "symbols": SymbolTokenizer(9)}[name]
    again = tokenizer_from_json(json.loads(json.dumps(tokenizer.to_json())))
    for told in ("name", "vocabulary", "separator", "specials", "unknown", "fixed_vocabulary"):
        assert getattr(again, told) == getattr(tokenizer, told)
    text = TEXTS[3] if name != "symbols" else np.arange(9, dtype="<u2").tobytes()
    np.testing.assert_array_equal(again.encode([text])[0], tokenizer.encode([text])[0])


def test_symbols_are_their_own_tokens() -> None:
    symbols = np.array([3, 0, 299], "<u2")
    (tokens,) = SymbolTokenizer(300).encode([symbols.tobytes()])
    np.testing.assert_array_equal(tokens, symbols)
    assert SymbolTokenizer(300).decode(tokens) == symbols.tobytes()


def test_a_learned_tokenizer_without_its_package_is_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingExtraError, match="pip install"):
        SubwordTokenizer("bpe", "{}")
    with pytest.raises(MissingExtraError, match="pip install"):
        learn("unigram", TEXTS, 300)
