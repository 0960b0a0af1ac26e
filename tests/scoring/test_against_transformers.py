"""Log-probabilities and choices are those of transformers, with the same weights."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch

from foretoken.compute.objective import PAD, Objective
from foretoken.data.tokenizer import SymbolTokenizer
from foretoken.generation import Model
from foretoken.models import from_pretrained
from foretoken.scoring.likelihood import Reader, Request, likelihoods

from ..models.test_parity import CASES, VOCABULARY, theirs

PLAIN = ("gpt2", "gpt2_untied", "llama", "llama_tied", "mixtral", "t5", "t5_v1_1")


@pytest.mark.parametrize("name", PLAIN)
@torch.no_grad()
def test_each_text_after_each_prompt(name: str, tmp_path: Path) -> None:
    case, chance = CASES[name], torch.Generator().manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference = theirs(case)
        reference.save_pretrained(tmp_path)
    model = Model(
        name=name, network=from_pretrained(tmp_path).eval(), tokenizer=SymbolTokenizer(VOCABULARY),
        objective=Objective(kind="span_corruption" if case.two else "causal"), specials={PAD: 0},
    )  # fmt: skip

    def some(most: int) -> tuple[int, ...]:
        length = int(torch.randint(1, most, (), generator=chance))
        return tuple(torch.randint(1, VOCABULARY, (length,), generator=chance).tolist())

    start = some(12)
    requests = [Request(start + some(9), some(6)) for _ in range(12)]
    requests += [Request(requests[0].prompt, some(4)) for _ in range(3)]  # choices of one question
    found = likelihoods(Reader(model), requests)
    for (prompt, text, *_), one in zip(requests, found, strict=True):
        if case.two:
            logits = reference(torch.tensor([prompt]), decoder_input_ids=torch.tensor([[0, *text[:-1]]])).logits[0]
        else:
            logits = reference(torch.tensor([prompt + text])).logits[0, len(prompt) - 1 : -1]
        each = logits.log_softmax(-1)
        assert one.logprobs == pytest.approx([float(each[at, token]) for at, token in enumerate(text)], abs=1e-4)
        assert one.greedy == (each.argmax(-1).tolist() == list(text))
