"""Special tokens: the tokenizer's own where it has them, new numbers where it has not, none for a user's file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretoken.data.specials import special_ids
from foretoken.errors import CorpusError

BERT = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103}
ROBERTA = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": 50264}
MASKED = ["[CLS]", "[SEP]", "[PAD]", "[MASK]"]


def test_a_tokenizer_s_own_are_taken_and_add_nothing() -> None:
    found = {"[CLS]": 101, "[SEP]": 102, "[PAD]": 0, "[MASK]": 103}
    assert special_ids(BERT, 30_522, True, MASKED) == (found, 30_522)


def test_missing_ones_are_numbered_from_the_vocabulary_up_in_the_order_wanted() -> None:
    assert special_ids({}, 256, False, MASKED) == (dict(zip(MASKED, range(256, 260), strict=True)), 260)
    assert special_ids({"[SEP]": 3}, 256, False, ["[MASK]", "[SEP]", "[PAD]"]) == (
        {"[MASK]": 256, "[SEP]": 3, "[PAD]": 257},
        258,
    )


def test_other_spellings_count() -> None:
    found = {"[CLS]": 0, "[SEP]": 2, "[PAD]": 1, "[MASK]": 50_264}
    assert special_ids(ROBERTA, 50_265, True, MASKED) == (found, 50_265)


@pytest.mark.parametrize("specials", [{}, {"<|endoftext|>": 50_256}], ids=["none", "gpt2"])
def test_a_closed_tokenizer_that_lacks_one_is_refused(specials: dict[str, int]) -> None:
    with pytest.raises(CorpusError, match=r"(?s)has no \[MASK\].*expected: .*\[MASK\].*got: .*cure: "):
        special_ids(specials, 50_257, True, ["[MASK]"])


def test_more_sentinels_than_a_closed_tokenizer_has_are_refused() -> None:
    t5 = {f"<extra_id_{n}>": 32_099 - n for n in range(100)}
    wanted = [f"<extra_id_{n}>" for n in range(101)]
    with pytest.raises(CorpusError, match="no <extra_id_100>"):
        special_ids(t5, 32_100, True, wanted)
    assert special_ids(t5, 32_100, False, wanted)[0]["<extra_id_100>"] == 32_100


@given(own=st.sets(st.sampled_from(MASKED)), wanted=st.lists(st.sampled_from(MASKED)))
def test_ids_are_all_different_and_below_the_vocabulary(own: set[str], wanted: list[str]) -> None:
    ids, vocabulary = special_ids({name: n for n, name in enumerate(sorted(own))}, 300, False, wanted)
    assert set(ids) == set(wanted)
    assert len(set(ids.values())) == len(ids)
    assert all(number < vocabulary for number in ids.values())
    assert vocabulary == 300 + len(set(wanted) - own)
