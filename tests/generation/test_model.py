"""A model's text: special tokens by their names, spaces that belong to tokens, broken characters."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from foretoken.data.tokenizer import SymbolTokenizer
from foretoken.errors import CheckpointError, CorpusError
from foretoken.generation.model import finite_logits, sentinel_number

from .toys import untrained

MODEL = untrained("prefix", "span_corruption")


def test_sentinels_come_in_the_order_of_their_numbers() -> None:
    shuffled = {"<extra_id_10>": 5, "<extra_id_2>": 9, "[PAD]": 1, "<extra_id_0>": 7, "<extra_id_x>": 3}
    assert replace(MODEL, specials=shuffled).sentinels == [7, 9, 5]
    assert sentinel_number("<extra_id_1234>") == 1234
    assert untrained("gpt2", "causal").sentinels == []


def test_names_of_special_tokens_stand_for_them() -> None:
    specials = {"<X>": 300, "<X>>": 301}
    assert MODEL.encode_with_specials("a<X>b<X>>", specials) == [97, 300, 98, 301]
    assert MODEL.encode_with_specials("", specials) == []


@pytest.mark.parametrize("text", ["bears", "où il était", "汉字 🙂", "\t \n"])
def test_what_is_encoded_comes_back(text: str) -> None:
    tokens = MODEL.encode(text)
    assert MODEL.decode(tokens) == text
    for cut in range(len(tokens) + 1):
        before = MODEL.decode(tokens[:cut])
        after = MODEL.decode(tokens[cut:], tokens[:cut])
        assert before + after == text or "\N{REPLACEMENT CHARACTER}" in before + after


def test_tokens_that_the_tokenizer_lacks_are_written_by_name() -> None:
    (name, token), *_ = MODEL.specials.items()
    unknown = MODEL.network.shape.vocabulary + 5
    assert MODEL.decode([97, token, 98, unknown]) == f"a{name}b<{unknown}>"


def test_tokens_of_text_are_neither_special_nor_beyond_the_tokenizer() -> None:
    assert not MODEL.text_tokens[list(MODEL.specials.values())].any()
    assert int(MODEL.text_tokens.sum()) == MODEL.tokenizer.vocabulary == int(MODEL.writable.sum())


def test_a_synthetic_language_is_written_in_numbers() -> None:
    symbols = replace(MODEL, tokenizer=SymbolTokenizer(8))
    assert symbols.encode("1 7  0") == [1, 7, 0]
    assert symbols.decode([1, 7, 0]) == " 1 7 0"
    for text in ("8", "-1", "one", "1.5"):
        with pytest.raises(CorpusError, match=r"(?s)synthetic language.*numbers below 8"):
            symbols.encode(text)


def test_bytes_hold_no_spaces_of_their_words() -> None:
    assert not MODEL.tokens_hold_spaces
    assert MODEL.strip_spaces_before("a <X> b", ["<X>"]) == "a <X> b"


def test_what_does_not_fit_and_what_is_not_finite_is_refused() -> None:
    MODEL.check_fits(5, 5, "the text")
    with pytest.raises(CorpusError, match=r"(?s)the text is longer.*at most 5 tokens.*got: 6 tokens"):
        MODEL.check_fits(6, 5, "the text")
    assert finite_logits(torch.zeros(2, dtype=torch.bfloat16)).dtype == torch.float32
    for value in (float("nan"), float("inf")):
        with pytest.raises(CheckpointError, match="not finite"):
            finite_logits(torch.tensor([0.0, value]))


def test_a_bare_encoder_predicts_nothing() -> None:
    MODEL.check_head()
    with pytest.raises(CheckpointError, match="bare encoder"):
        replace(MODEL, headless=True).check_head()
