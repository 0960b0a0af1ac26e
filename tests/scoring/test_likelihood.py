"""Log-probabilities are those of the network that reads each sequence alone, whatever else is asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.data.subword import SubwordTokenizer
from foretoken.errors import DesignError
from foretoken.generation import Model
from foretoken.scoring import next_tokens
from foretoken.scoring.answers import greedy_answers
from foretoken.scoring.likelihood import Reader, Request, likelihoods, side_by_side

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


def test_an_encoder_reads_the_blanks_of_its_prompt_and_what_stands_around_it() -> None:
    model = untrained("t5", "prefix", layers=2)
    assert Reader(model).split("Q: ", "4") == Request(tuple(b"Q: "), tuple(b"4"))
    assert Reader(replace(model, before=(6,), after=(7,))).framed((1,)) == (6, 1, 7)
    assert Reader(replace(untrained("llama", "causal"), before=(6,), after=(7,))).framed((1,)) == (6, 1)


def test_how_much_fits_into_the_context() -> None:
    causal, two = Reader(untrained("llama", "causal")), Reader(untrained("t5", "prefix", layers=2))
    context, second = causal.model.network.shape.context, two.model.network.shape.second_context
    assert [causal.room(context - 2, text) for text in (0, 1, 3, 4)] == [2, 2, 0, -1]
    assert two.room(two.model.network.shape.context, second) == 0
    assert two.room(1, second + 1) == -1
    (longest,) = likelihoods(causal, [Request((1,) * (context - 2), (2, 3, 4))])
    assert len(longest.logprobs) == 3
    (answer,) = greedy_answers(Reader(untrained("lstm", "causal")), [(1, 2)], 40, [])
    assert len(answer.tokens) == 40
    assert list(side_by_side([3, 3], lambda _: 0)) == [[0], [1]]


def test_a_text_is_greedy_only_where_all_of_it_is() -> None:
    reader = Reader(untrained("llama", "causal"))
    (answer,) = greedy_answers(reader, [(5, 6)], 6, [])
    for place in range(6):
        changed = (*answer.tokens[:place], answer.tokens[place] ^ 1)
        (then,) = greedy_answers(reader, [(5, 6, *changed)], 2, [])
        (one,) = likelihoods(reader, [Request((5, 6), changed + then.tokens)])
        assert not one.greedy


def test_where_letters_merge_across_the_border_each_is_encoded_by_itself() -> None:
    from tokenizers import Tokenizer, models

    words = {"a": 0, "b": 1, "c": 2, "ab": 3}
    merging = SubwordTokenizer("file", Tokenizer(models.BPE(words, [("a", "b")])).to_str())
    reader = Reader(replace(untrained("llama", "causal"), tokenizer=merging))
    assert reader.split("ca", "bc") == Request((2, 0), (1, 2))
    assert reader.split("a", "b") == Request((0,), (1,))
    assert reader.split("ab", "c") == Request((3,), (2,))
