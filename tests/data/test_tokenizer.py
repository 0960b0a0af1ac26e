"""Tokenizers: what goes in comes out, and nothing depends on the day."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.data.tokenizer import (
    END_OF_TEXT,
    BpeTokenizer,
    ByteTokenizer,
    SymbolTokenizer,
    Tokenizer,
    learn_bpe,
    tokenizer_from_json,
)
from foretoken.errors import CorpusError, MissingExtraError

TEXTS = [f"the cat number {n} sat on mat {n * n}, said été no. {n % 7}\n".encode() for n in range(400)]
BPE = learn_bpe(TEXTS, 300)
any_text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])).map(str.encode)


@pytest.mark.parametrize("tokenizer", [ByteTokenizer(), BPE], ids=["byte", "bpe"])
@settings(deadline=None)
@given(texts=st.lists(any_text, max_size=5))
def test_text_survives(tokenizer: Tokenizer, texts: list[bytes]) -> None:
    encoded = tokenizer.encode(texts)
    assert [tokenizer.decode(tokens) for tokens in encoded] == texts
    for tokens in encoded:
        assert np.all(tokens < tokenizer.vocabulary)
        assert tokenizer.separator not in tokens


def test_byte_vocabulary_is_256_with_nul_between_documents() -> None:
    assert (ByteTokenizer().vocabulary, ByteTokenizer().separator) == (256, 0)


def test_the_name_of_the_separator_in_a_text_is_text() -> None:
    (tokens,) = BPE.encode([END_OF_TEXT.encode()])
    assert BPE.separator not in tokens
    assert BPE.decode(tokens) == END_OF_TEXT.encode()


def test_bpe_packs_more_than_a_byte_into_a_token() -> None:
    assert sum(map(len, BPE.encode(TEXTS))) < 0.6 * sum(map(len, TEXTS))


def test_bpe_has_the_vocabulary_asked_for_and_is_named_by_its_content() -> None:
    assert BPE.vocabulary == 300
    assert BPE.name.startswith("bpe-300-")
    assert learn_bpe(TEXTS, 300).name == BPE.name
    assert learn_bpe(TEXTS[:200], 300).name != BPE.name


def test_bpe_refuses_a_vocabulary_beyond_the_text() -> None:
    with pytest.raises(
        CorpusError, match=r"(?s)expected: 5000 tokens.*got: 2\d\d tokens.*corpus\.vocabulary to at most"
    ):
        learn_bpe([b"abcabc abcabc"], 5000)


@pytest.mark.parametrize("tokenizer", [ByteTokenizer(), BPE, SymbolTokenizer(9)], ids=["byte", "bpe", "symbols"])
def test_tokenizers_survive_plain_json(tokenizer: Tokenizer) -> None:
    again = tokenizer_from_json(json.loads(json.dumps(tokenizer.to_json())))
    assert (again.name, again.vocabulary, again.separator) == (
        tokenizer.name,
        tokenizer.vocabulary,
        tokenizer.separator,
    )
    text = TEXTS[3] if not isinstance(tokenizer, SymbolTokenizer) else np.arange(9, dtype="<u2").tobytes()
    np.testing.assert_array_equal(again.encode([text])[0], tokenizer.encode([text])[0])


def test_symbols_are_their_own_tokens() -> None:
    symbols = np.array([3, 0, 299], "<u2")
    (tokens,) = SymbolTokenizer(300).encode([symbols.tobytes()])
    np.testing.assert_array_equal(tokens, symbols)
    assert SymbolTokenizer(300).decode(tokens) == symbols.tobytes()


def test_bpe_without_its_package_is_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingExtraError, match="pip install"):
        BpeTokenizer("{}")
