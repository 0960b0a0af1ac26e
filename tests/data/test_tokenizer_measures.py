"""What a tokenizer has learned and how it cuts text, as typed results and as the JSON that programs read."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import foretoken as ft
from foretoken.arguments import ArgumentNameError
from foretoken.data.learning import learn
from foretoken.data.tokenizer import ByteTokenizer, SymbolTokenizer
from foretoken.data.tokenizer_measures import Merge, Piece, describe_tokenizer, pieces, spelled

TEXTBOOK = learn("plain", [b"aaabdaaabac"], vocabulary=7)
BEARS = b"7 bears met 49 foxes in the wood. " * 20


def test_the_textbook_example() -> None:
    description = describe_tokenizer(TEXTBOOK, "aaabdaaabac", first=2)
    assert description.merges == [Merge("a", "a", "aa", 4), Merge("a", "b", "ab", 5)]
    assert [piece.id for piece in description.pieces] == [6, 3, 6, 0, 2]
    assert description.longest[0].bytes == 4
    assert description.text is not None
    assert (description.text.bytes_per_token, description.text.fertility) == (11 / 5, 5.0)


def test_the_json_has_one_key_for_each_field() -> None:
    values = describe_tokenizer(TEXTBOOK, "aaab").to_json()
    assert list(values) == [
        "name",
        "vocabulary",
        "separator",
        "specials",
        "merges",
        "scores",
        "longest",
        "text",
        "pieces",
    ]
    assert values["pieces"] == [{"token": "aaab", "id": 6}]
    assert set(values["merges"][0]) == {"left", "right", "token", "id"}
    assert set(values["longest"][0]) == {"token", "id", "bytes"}


def test_scores_are_those_of_a_unigram_tokenizer_the_best_first() -> None:
    description = describe_tokenizer(learn("unigram", [BEARS], vocabulary=248), first=5)
    assert len(description.scores) == 5
    assert [piece.score for piece in description.scores] == sorted((p.score for p in description.scores), reverse=True)
    assert all(piece.score < 0 for piece in description.scores)
    assert describe_tokenizer(TEXTBOOK).scores == []


def test_without_texts_nothing_is_measured() -> None:
    for tokenizer in (TEXTBOOK, ByteTokenizer(), SymbolTokenizer(8)):
        assert describe_tokenizer(tokenizer).text is None
    assert describe_tokenizer(SymbolTokenizer(300)).vocabulary == 300


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=20).map(str.encode), min_size=1, max_size=4))
def test_bytes_lose_nothing_and_are_one_byte_each(texts: list[bytes]) -> None:
    measures = describe_tokenizer(ByteTokenizer(), texts).text
    assert measures is not None
    assert measures.tokens == measures.bytes == sum(map(len, texts))
    assert measures.unchanged_share == 1.0
    assert measures.bytes_per_token == (1.0 if measures.tokens else None)
    assert measures.words == sum(len(text.split()) for text in texts)


def test_text_that_is_lost_is_counted() -> None:
    measures = describe_tokenizer(TEXTBOOK, [b"aaab", b"xyz"]).text
    assert measures is not None
    assert measures.unchanged_share == 0.5


def test_tokens_are_spelled_as_they_are_written() -> None:
    assert pieces(ByteTokenizer(), b"a\n\xff") == [Piece("a", 97), Piece("\n", 10), Piece("\\xff", 255)]
    assert spelled(TEXTBOOK, 6) == "aaab"
    assert spelled(SymbolTokenizer(300), 299) == "299"


def test_a_wrong_argument_shows_the_nearest() -> None:
    with pytest.raises(ArgumentNameError, match="did you mean 'vocabulary'"):
        ft.train_tokenizer(text="aaab", vocabulry=7)  # type: ignore[call-arg]
    with pytest.raises(ArgumentNameError, match="did you mean 'texts'"):
        ft.describe_tokenizer(TEXTBOOK, text="aaab")  # type: ignore[call-arg]
