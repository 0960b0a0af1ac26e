"""Filling masks and spans: toys that learned the alphabet's first ten letters know which are hidden."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
import torch

from foretoken.compute.objective import MASK
from foretoken.data.tokenizer_files import train_tokenizer
from foretoken.errors import CorpusError, DesignError, ForetokenError
from foretoken.generation import fill_mask, infill

from .toys import LETTERS, toy, untrained


def test_hidden_letters_are_found() -> None:
    found = fill_mask(toy("encoder", "masked"), "abcd[MASK]fghij<mask>bcdefghijabcdefghi", top=3)
    assert [candidates[0].text for candidates in found.masks] == ["e", "a"]
    assert found.text == "abcdefghijabcdefghijabcdefghi"
    for candidates in found.masks:
        shares = [one.probability for one in candidates]
        assert len(shares) == 3
        assert shares[0] > 0.8
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) <= 1


@pytest.mark.parametrize("preset", ["bert", "encoder"])
def test_probabilities_are_the_network_s_without_special_tokens(preset: str) -> None:
    model = untrained(preset, "masked")
    (candidates,) = fill_mask(model, f"xy{MASK}z", top=1000).masks
    ids = model.specials
    with torch.no_grad():
        out = model.network(torch.tensor([[ids["[CLS]"], *b"xy", ids[MASK], *b"z", ids["[SEP]"]]]))
    shares = out[0, 3].softmax(-1)
    assert sorted(one.token for one in candidates) == list(range(256))
    assert [one.probability for one in candidates] == pytest.approx([shares[one.token].item() for one in candidates])
    assert 0.5 < sum(one.probability for one in candidates) < 1


def test_a_mask_takes_the_blank_before_it_where_tokens_hold_theirs() -> None:
    model = untrained("encoder", "masked")
    assert model.strip_spaces_before("The [MASK] sat", [MASK]) == "The [MASK] sat"
    words = train_tokenizer(text="the cat sat on the mat " * 50, kind="bpe", vocabulary=268)
    worded = replace(model, tokenizer=words)
    assert worded.strip_spaces_before("The [MASK] sat", [MASK]) == "The[MASK] sat"
    text = worded.strip_spaces_before("the [MASK] sat", [MASK])
    assert text == "the[MASK] sat"
    assert worded.encode_with_specials(text, {MASK: 4}) == [*worded.encode("the"), 4, *worded.encode(" sat")]


def test_what_fills_no_masks_is_told() -> None:
    for model, cure in (
        (untrained("llama", "causal"), "foretoken sample"),
        (untrained("t5", "span_corruption"), "foretoken infill"),
    ):
        with pytest.raises(DesignError, match=f"(?s)only an encoder fills masks.*{cure}"):
            fill_mask(model, "a[MASK]")
    encoder = untrained("encoder", "masked")
    with pytest.raises(CorpusError, match=r"(?s)has no \[MASK\].*got: none"):
        fill_mask(replace(encoder, specials={}), "a[MASK]")
    with pytest.raises(CorpusError, match="the text has no mask"):
        fill_mask(encoder, "abc")
    with pytest.raises(CorpusError, match=r"(?s)longer than the model's context.*32 tokens.*got: 33"):
        fill_mask(encoder, "a" * 30 + "[MASK]")
    with pytest.raises(ForetokenError, match="top must be at least 1"):
        fill_mask(encoder, "[MASK]", top=0)


@pytest.mark.parametrize("preset", ["t5_v1_1", "prefix"])
@pytest.mark.parametrize("blank", ["<X>", "<extra_id_0>"])
@pytest.mark.parametrize("options", [{}, {"beams": 4}, {"temperature": 0.5, "top_k": 1}], ids=str)
def test_hidden_spans_are_found(preset: str, blank: str, options: dict[str, float]) -> None:
    model = toy(preset, "span_corruption")
    text, hidden, _ = model.objective.hidden(model.network.shape)
    whole = (LETTERS * 9)[4 : text + 4]
    found = infill(model, whole[:-hidden] + blank, **options)
    assert found.text == whole
    (one,) = found.blanks
    assert (one.name, one.text, len(one.tokens)) == (blank, whole[-hidden:], hidden)
    assert -2 < found.logprob < sum(one.logprobs) < 0


def answers(most: int, blanks: int, symbols: int, sentinels: list[int]) -> list[list[int]]:
    """Every answer that keeps the form."""
    spans = [list(span) for length in range(1, most + 1) for span in product(range(symbols), repeat=length)]
    return [
        [token for sentinel, span in zip(sentinels, chosen, strict=False) for token in (sentinel, *span)]
        + [sentinels[blanks]]
        for chosen in product(spans, repeat=blanks)
    ]


@pytest.mark.parametrize("preset", ["t5", "prefix"])
@torch.no_grad()
def test_a_wide_search_finds_the_most_probable_answer(preset: str) -> None:
    """Of all 36 answers with two blanks of one or two symbols out of two."""
    model = untrained(preset, "span_corruption", symbols=2, context=64)
    ids = [number for name, number in model.specials.items() if name.startswith("<extra")]
    source, network = torch.tensor([[1, 0, ids[0], 1, ids[1], 0]]), model.network

    def logprob(answer: list[int]) -> float:
        if preset == "t5":
            logits = network(source, torch.tensor([[model.specials["[PAD]"], *answer[:-1]]]))[0]
        else:
            both = torch.cat([source, torch.tensor([answer])], dim=1)
            logits = network(both[:, :-1], prefix=torch.tensor([6]))[0, 5:]
        return float(logits.log_softmax(-1).gather(1, torch.tensor(answer)[:, None]).sum())

    scores = [logprob(answer) for answer in answers(2, 2, 2, ids)]
    assert len(scores) == 36
    wide, greedy = (infill(model, "1 0 <X> 1 <Y> 0", tokens=2, beams=beams) for beams in (100, 1))
    assert wide.logprob == pytest.approx(max(scores), abs=1e-3)
    assert min(abs(greedy.logprob - score) for score in scores) < 1e-3
    assert greedy.logprob <= wide.logprob + 1e-3


def test_every_blank_gets_text_and_no_more_than_asked() -> None:
    model = untrained("t5", "span_corruption", context=64)
    for seed in range(5):
        found = infill(model, "ab<Z>cd<X>e", tokens=2, temperature=2.0, top_k=0, top_p=1.0, seed=seed)
        assert [blank.name for blank in found.blanks] == ["<Z>", "<X>"]
        assert all(1 <= len(blank.tokens) <= 2 and max(blank.tokens) < 256 for blank in found.blanks)
        assert found.text == "ab{}cd{}e".format(*(blank.text for blank in found.blanks))


@pytest.mark.parametrize(
    ("model", "text", "options", "error", "told"),
    [
        (("encoder", "masked"), "a<X>", {}, DesignError, r"not trained to fill spans(?s:.*)cure: foretoken fill-mask"),
        (("t5", "prefix"), "a<X>", {}, DesignError, r"not trained to fill spans(?s:.*)cure: foretoken sample"),
        (("t5", "span_corruption"), "abc", {}, CorpusError, "the text has no blank"),
        (("t5", "span_corruption"), "a<X>b<X>", {}, CorpusError, "a blank is named twice"),
        (
            ("t5", "span_corruption"),
            "a<X>b<Y>c<Z>d",
            {},
            CorpusError,
            r"more blanks than(?s:.*)at most 2 (?s:.*)got: 3",
        ),
        (("t5", "span_corruption"), "a" * 32 + "<X>", {}, CorpusError, "the text is longer than the model's context"),
        (("prefix", "span_corruption"), "a" * 30 + "<X>", {}, CorpusError, "answer would be longer"),
        (("t5", "span_corruption"), "a<X>", {"tokens": 50}, CorpusError, "answer would be longer"),
        (("t5", "span_corruption"), "a<X>", {"tokens": 0}, ForetokenError, "tokens must be at least 1"),
        (("t5", "span_corruption"), "a<X>", {"beams": 0}, ForetokenError, "invalid value of beams"),
        (("t5", "span_corruption"), "a<X>", {"beams": 2, "temperature": 1.0}, ForetokenError, "invalid value of beams"),
    ],
)
def test_what_cannot_be_filled_is_refused(
    model: tuple[str, str], text: str, options: dict[str, float], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        infill(untrained(*model), text, **options)
