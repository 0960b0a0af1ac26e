"""Log-probabilities are those of the network that reads each sequence alone, whatever else is asked for."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.errors import DesignError
from foretoken.generation import Model
from foretoken.scoring import next_tokens
from foretoken.scoring.answers import greedy_answers
from foretoken.scoring.likelihood import Reader, Request, likelihoods

from ..generation.toys import toy, untrained

MODELS = {
    "gpt2": ("gpt2", "causal", {}),
    "llama": ("llama", "causal", {}),
    "grouped": ("llama", "causal", {"queries_per_kv_head": 2, "layers": 2}),
    "relative": ("llama", "causal", {"positions": "relative", "norm": "layer"}),
    "mixtral": ("mixtral", "causal", {"layers": 2}),
    "lstm": ("lstm", "causal", {"layers": 2}),
    "prefix": ("prefix", "prefix", {"layers": 2}),
    "t5": ("t5", "prefix", {"layers": 2}),
}
TEXT = st.lists(st.integers(1, 6), min_size=1, max_size=6).map(tuple)


def alone(model: Model, request: Request) -> list[float]:
    """What the network itself says of each token, reading this sequence and nothing else."""
    reader, network = Reader(model), model.network
    prompt, text = list(reader.framed(request.prompt)), list(request.text)
    if reader.two_stacks:
        logits = network(torch.tensor([prompt]), torch.tensor([[model.specials["[PAD]"], *text[:-1]]]))
        start = 0
    else:
        given = {"prefix": torch.tensor([len(prompt)])} if reader.shows_prefix else {}
        logits, start = network(torch.tensor([prompt + text[:-1]]), **given), len(prompt) - 1
    each = logits[0, start:].log_softmax(-1)
    return [float(each[place, token]) for place, token in enumerate(text)]


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=12, deadline=None, derandomize=True)
@given(data=st.data())
@torch.no_grad()
def test_each_is_as_if_it_were_read_alone(name: str, data: st.DataObject) -> None:
    preset, kind, choices = MODELS[name]
    model = untrained(preset, kind, **choices)
    start = data.draw(TEXT)  # prompts that begin alike, one of which may end where the others go on
    requests = [
        Request(start + data.draw(TEXT | st.just(())), data.draw(TEXT)) for _ in range(data.draw(st.integers(1, 6)))
    ]
    found = likelihoods(Reader(model), requests)
    for request, one in zip(requests, found, strict=True):
        assert one.logprobs == pytest.approx(alone(model, request), abs=1e-4, rel=1e-5)
    (single,) = likelihoods(Reader(model), requests[:1])
    assert single.logprobs == pytest.approx(found[0].logprobs, abs=1e-5)


@pytest.mark.parametrize("name", ["llama", "lstm", "prefix", "t5"])
@torch.no_grad()
def test_what_is_written_greedily_is_greedy(name: str) -> None:
    preset, kind, _ = MODELS[name]
    model = untrained(preset, kind)
    reader = Reader(model)
    prompts = [(5, 6, 7), (5, 6), (5, 9, 9, 1), (5, 6, 7, 7)]
    answers = greedy_answers(reader, prompts, 5, ["\n"])
    found = likelihoods(reader, [Request(prompt, one.tokens) for prompt, one in zip(prompts, answers, strict=True)])
    assert all(one.greedy for one in found)
    texts = [(one.tokens[0] ^ 1, *one.tokens[1:]) for one in answers]
    other = [Request(prompt, text) for prompt, text in zip(prompts, texts, strict=True)]
    assert not any(one.greedy for one in likelihoods(reader, other))
    (alone_,) = greedy_answers(reader, prompts[1:2], 5, ["\n"])
    assert alone_ == answers[1]


def test_an_answer_ends_where_it_is_told_to() -> None:
    reader = Reader(toy("llama", "causal"))
    for stops, text in (["d"], "bc"), (["\n"], "bcdefgh"), (["fg", "e"], "bcd"):
        (answer,) = greedy_answers(reader, [tuple(b"ija")], 7, stops)
        assert answer.text == text
        assert answer.ended == (stops != ["\n"])


def test_the_next_token_is_the_one_that_was_learned() -> None:
    found = next_tokens(toy("llama", "causal"), "abcd", top=3)
    assert [found.tokens[0].text, len(found.tokens)] == ["e", 3]
    assert found.tokens[0].probability > 0.9
    whole = next_tokens(toy("lstm", "causal"), "abcd", top=999)
    assert sum(one.probability for one in whole.tokens) == pytest.approx(1)


def test_an_encoder_is_refused_with_what_it_can_do() -> None:
    with pytest.raises(DesignError, match="fill-mask"):
        next_tokens(untrained("bert", "masked"), "abc")


def test_blanks_at_the_end_of_a_prompt_go_with_the_text() -> None:
    reader = Reader(untrained("llama", "causal"))
    assert reader.split("Q: ", "4") == Request(tuple(b"Q:"), tuple(b" 4"))
    assert reader.split("", "4") == Request((), tuple(b"4"))
