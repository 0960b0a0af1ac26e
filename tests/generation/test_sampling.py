"""Going on from a text: models that learned the alphabet's first ten letters go on with it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from foretoken.errors import CheckpointError, CorpusError, DesignError, ForetokenError
from foretoken.generation import sample

from .toys import LETTERS, toy, untrained

CAUSAL = [("llama", "causal"), ("lstm", "causal"), ("prefix", "prefix")]


def after(prompt: str, length: int) -> str:
    """The letters that follow, in their cycle."""
    start = LETTERS.index(prompt[-1]) + 1
    return (LETTERS * (length // len(LETTERS) + 2))[start : start + length]


@pytest.mark.parametrize(("preset", "kind"), CAUSAL)
@pytest.mark.parametrize("prompt", ["abcdefg", "efghijabc"])
def test_a_model_goes_on_with_what_it_learned(preset: str, kind: str, prompt: str) -> None:
    found = sample(toy(preset, kind), prompt, tokens=15, temperature=0)
    (one,) = found.samples
    assert one.text == after(prompt, 15)
    assert one.tokens == list(one.text.encode())
    assert len(one.logprobs) == 15
    assert -0.5 < sum(one.logprobs) / 15 < 0
    assert not one.ended
    assert found.prompt_tokens == list(prompt.encode())


def test_an_encoder_decoder_writes_its_target() -> None:
    source = (LETTERS * 4)[3:35]
    found = sample(toy("t5_v1_1", "prefix"), source, tokens=20, temperature=0)
    assert found.samples[0].text == after(source, 20)
    assert (found.prompt_perplexity, found.forgotten) == (None, 0)


def test_a_full_context_forgets_its_older_half() -> None:
    """Ninety letters from a model that sees 32; each is what the network says of the letters that it still has."""
    model = toy("llama", "causal")
    (one,) = sample(model, "abcdef", tokens=90, temperature=0).samples
    assert one.text == after("f", 90)
    long = sample(model, LETTERS * 5, tokens=5, temperature=0)
    assert (long.samples[0].text, long.forgotten) == ("abcde", 18)
    (first,) = sample(untrained("llama", "causal", context=8), "abc", tokens=30, temperature=0).samples
    text, network, seen = [*b"abc"], untrained("llama", "causal", context=8).network, 3
    for token in first.tokens:
        seen = 4 if seen == 9 else seen
        with torch.no_grad():
            assert network(torch.tensor([text[-seen:]]))[0, -1].argmax() == token
        text, seen = [*text, token], seen + 1


def test_an_lstm_has_no_limit() -> None:
    assert sample(toy("lstm", "causal"), LETTERS * 5, tokens=70, temperature=0).samples[0].text == after("j", 70)


def test_log_probabilities_and_perplexity_are_those_of_the_network() -> None:
    model = untrained("gpt2", "causal")
    found = sample(model, "hello", tokens=4, temperature=1.5, top_k=3, top_p=0.5, seed=3)
    tokens = [*found.prompt_tokens, *found.samples[0].tokens]
    with torch.no_grad():
        each = model.network(torch.tensor([tokens]))[0, :-1].log_softmax(-1)
    each = each.gather(1, torch.tensor(tokens[1:])[:, None])[:, 0]
    assert found.samples[0].logprobs == pytest.approx(each[4:].tolist(), abs=1e-4)
    assert found.prompt_perplexity == pytest.approx(math.exp(-each[:4].mean()), rel=1e-4)


@pytest.mark.parametrize("scale", [1e4, 1e36])
def test_a_perplexity_too_large_for_a_number_is_null(scale: float) -> None:
    model = untrained("gpt2", "causal", tied=False)
    with torch.no_grad():
        model.network.head_weight.mul_(scale)
    found = sample(model, "hello", tokens=2)
    assert found.prompt_perplexity is None
    assert found.prompt_perplexity_reason is not None
    assert "too large for a number" in found.prompt_perplexity_reason


@pytest.mark.parametrize("preset", ["mixtral", "t5"])
def test_the_first_of_three_samples_is_the_only_one_with_a_capacity_too(preset: str) -> None:
    kind = "causal" if preset == "mixtral" else "prefix"
    model = untrained(preset, kind, experts=4, active_experts=2, expert_capacity_factor=0.5)
    alone, among = (sample(model, "abcd", tokens=12, samples=number, temperature=1.0, seed=2) for number in (1, 3))
    assert among.samples[0].tokens == alone.samples[0].tokens
    assert among.samples[0].logprobs == pytest.approx(alone.samples[0].logprobs, abs=1e-4)
    if alone.prompt_perplexity is not None:
        assert among.prompt_perplexity == pytest.approx(alone.prompt_perplexity, rel=1e-4)


def test_the_same_seed_gives_the_same_texts_and_others_do_not() -> None:
    model = untrained("llama", "causal")
    drawn = {
        seed: sample(model, "abc", tokens=20, samples=2, temperature=1.0, top_k=0, top_p=1.0, seed=seed)
        for seed in (0, 1)
    }
    again = sample(model, "abc", tokens=20, samples=1, temperature=1.0, top_k=0, top_p=1.0, seed=0)
    assert again.samples[0].tokens == drawn[0].samples[0].tokens
    assert len({one.text for two in drawn.values() for one in two.samples}) == 4
    greedy = [sample(model, "abc", tokens=20, temperature=0, seed=seed).samples[0].tokens for seed in (0, 1)]
    assert greedy[0] == greedy[1]


def test_a_text_ends_where_the_model_ends_it() -> None:
    model = toy("llama", "causal")
    head = model.network.head_weight
    with torch.no_grad():
        kept = head.clone()
        head[0] = 10 * head[ord("d")]
    try:
        (one,) = sample(model, "abc", tokens=20, temperature=0).samples
    finally:
        with torch.no_grad():
            head.copy_(kept)
    assert (one.text, one.tokens, one.ended) == ("", [0], True)


def test_an_empty_prompt_begins_a_document_and_symbols_are_numbers() -> None:
    assert len(sample(untrained("gpt2", "causal"), "", tokens=3).samples[0].logprobs) <= 3
    found = sample(untrained("gpt2", "causal", symbols=8), "1 5 2", tokens=3, temperature=0)
    assert [int(word) for word in found.samples[0].text.split()] == found.samples[0].tokens
    assert max(found.samples[0].tokens) < 8
    for prompt, told in (("a b", "numbers below 8"), ("1 9", "numbers below 8"), ("", "no prompt")):
        with pytest.raises(CorpusError, match=told):
            sample(untrained("gpt2", "causal", symbols=8), prompt)


def test_tokens_that_the_tokenizer_does_not_have_are_not_written() -> None:
    """A network may have more rows than there are tokens, as many checkpoints do."""
    model = untrained("gpt2", "causal", symbols=200)
    small = replace(model, tokenizer=untrained("gpt2", "causal", symbols=3).tokenizer)
    found = sample(small, "1 2", tokens=20, temperature=5.0, top_k=0, top_p=1.0)
    assert max(found.samples[0].tokens) < 3


@pytest.mark.parametrize(
    ("preset", "kind", "prompt", "options", "error", "told"),
    [
        ("encoder", "masked", "abc", {}, DesignError, "family 'encoder' cannot write text(?s:.*)fill-mask"),
        ("prefix", "prefix", "a" * 30, {"tokens": 5}, CorpusError, "at most 32 tokens(?s:.*)got: 34 tokens"),
        ("t5", "prefix", "a" * 33, {"tokens": 5}, CorpusError, "the prompt is longer than the model's context"),
        ("t5", "prefix", "a", {"tokens": 33}, CorpusError, "the text asked for is longer"),
        ("t5", "prefix", "", {}, CorpusError, "no prompt"),
        ("llama", "causal", "a", {"tokens": 0}, ForetokenError, "tokens must be at least 1"),
        ("llama", "causal", "a", {"samples": 0}, ForetokenError, "samples must be at least 1"),
        ("llama", "causal", "a", {"seed": -1}, ForetokenError, "seed must not be negative"),
        ("llama", "causal", "a", {"top_p": 2.0}, ForetokenError, "invalid value of top_p"),
    ],
)
def test_what_cannot_be_is_refused(
    preset: str, kind: str, prompt: str, options: dict[str, int], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told) as raised:
        sample(untrained(preset, kind), prompt, **options)
    if told.endswith(("at least 1", "no prompt")) or preset == "encoder":
        assert raised.value.expected
        assert raised.value.got
        assert raised.value.cure


def test_a_network_of_no_numbers_is_told() -> None:
    model = untrained("gpt2", "causal")
    with torch.no_grad():
        model.network.embedding.weight[0] = float("nan")
    with pytest.raises(CheckpointError, match="not finite"):
        sample(model, "abc")
