"""Loss in windows that overlap: every token once, after as much of its document as there is."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from foretoken.errors import CorpusError, DesignError
from foretoken.evals import evaluate
from foretoken.evals.windows import spans

from ..generation.toys import untrained

TEXTS = [("news", "the quick brown fox jumps over it"), ("code", "if x: y = 2"), ("news", "hello there"), ("code", "z")]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps({"text": text, "domain": name}) + "\n" for name, text in TEXTS))
    return path


@given(st.integers(2, 60), st.integers(2, 12), st.data())
def test_every_token_is_predicted_once_after_enough(length: int, context: int, data: st.DataObject) -> None:
    stride = data.draw(st.integers(1, context))
    predicted = []
    for span in spans(length, context, stride):
        assert span.end - span.start <= context
        first = span.end - span.predicted + 1
        assert first - span.start >= min(first, context - stride + 1)
        predicted += range(first, span.end + 1)
    assert predicted == list(range(1, length))


@torch.no_grad()
def test_losses_by_hand(rows: Path) -> None:
    model = untrained("llama", "causal", context=16)
    found = evaluate(model, rows, stride=1, by="domain")
    losses: dict[str, list[list[float]]] = {"news": [], "code": []}
    for name, text in TEXTS:
        tokens, each = [0, *text.encode()], []
        for place in range(1, len(tokens)):
            before = torch.tensor([tokens[max(0, place - 16) : place]])
            each.append(-float(model.network(before)[0, -1].log_softmax(-1)[tokens[place]]))
        losses[name].append(each)
    for domain in found.domains:
        flat = [one for each in losses[domain.domain] for one in each]
        words = sum(len(text.split()) for name, text in TEXTS if name == domain.domain)
        assert domain.loss == pytest.approx(sum(flat) / len(flat), rel=1e-5)
        assert domain.tokens == len(flat)
        assert domain.documents == 2
        assert domain.bits_per_byte == pytest.approx(domain.loss / math.log(2))
        assert domain.word_perplexity == pytest.approx(math.exp(sum(flat) / words), rel=1e-4)
    total = sum(domain.loss * domain.tokens for domain in found.domains)
    assert found.loss == pytest.approx(total / found.tokens)
    left = [sum(each) - found.loss * len(each) for parts in losses.values() for each in parts]
    assert found.loss_se == pytest.approx(math.sqrt(sum(x * x for x in left) * 4 / 3) / found.tokens, rel=1e-4)


def test_subfolders_are_domains(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "one.txt").write_text(f"a text of {name}")
    found = evaluate(untrained("gpt2", "causal"), tmp_path, by="folder")
    assert [domain.domain for domain in found.domains] == ["a", "b"]
    assert found.stride == 16


def test_what_cannot_be_measured_so_is_refused(rows: Path) -> None:
    with pytest.raises(DesignError, match="predict each next token"):
        evaluate(untrained("prefix", "prefix"), rows, stride=4)
    with pytest.raises(DesignError, match="1 to 32"):
        evaluate(untrained("gpt2", "causal"), rows, stride=33)
    with pytest.raises(CorpusError, match="domian"):
        evaluate(untrained("gpt2", "causal"), rows, by="domian")
