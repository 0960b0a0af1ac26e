"""Scores and losses of trained networks are those of transformers, which reads the same weights in a plain loop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from foretoken.evals import evaluate
from foretoken.generation import Model
from foretoken.models import from_pretrained, save_pretrained
from foretoken.objectives.loss import losses
from foretoken.scoring import score
from foretoken.scoring.run_task import draw_order, examples_for
from foretoken.tasks import PromptTask, Question
from foretoken.training import evaluate as measuring

from ..generation.toys import LETTERS, toy

transformers = pytest.importorskip("transformers")
MODELS = {
    "llama": "causal", "gpt2": "causal", "mixtral": "causal", "lstm": "causal",
    "prefix": "prefix", "t5": "prefix", "t5_v1_1": "span_corruption",
}  # fmt: skip
THEIRS = {"llama", "gpt2", "mixtral", "t5", "t5_v1_1"}
Read = Callable[..., Tensor]
RING = LETTERS * 3


def solved(start: int) -> Question:
    """What follows five letters of the ring? Others are right for some, so that not all is chosen rightly."""
    others = [RING[start + step : start + step + 2 + step % 2] for step in range(4)]
    right = RING[start + 5 : start + 7] if start % 3 else others[0]
    return Question(prompt=RING[start : start + 5], answer=right, choices=tuple(dict.fromkeys([*others, right])))


TASK = PromptTask(
    name="ring", between="", questions=tuple(solved(start) for start in range(10)),
    examples=tuple(solved(start) for start in (11, 13, 16)), metrics=("accuracy", "answer_nll", "choice_probability"),
)  # fmt: skip


def reader_of(model: Model, name: str, folder: Path) -> Read:
    """Logits of a network that knows nothing of caches: that of transformers, else our own in one pass."""
    ids = {}
    if model.family.two_stacks:
        ids = dict.fromkeys(("pad_token_id", "decoder_start_token_id"), model.specials["[PAD]"])
    save_pretrained(model.network, folder, token_ids=ids)
    if name not in THEIRS:
        network = from_pretrained(folder).eval()
        return network
    config = transformers.AutoConfig.from_pretrained(folder)
    theirs = getattr(transformers, config.architectures[0]).from_pretrained(folder).eval()
    names = {"target": "decoder_input_ids", "padding_mask": "attention_mask"}

    def read(tokens: Tensor, **more: Tensor) -> Tensor:
        logits: Tensor = theirs(tokens, **{names[name]: given.long() for name, given in more.items()}).logits
        return logits

    return read


def logprobs(read: Read, model: Model, prompt: str, text: str) -> Tensor:
    before, after = list(prompt.encode()), list(text.encode())
    if model.family.two_stacks:
        target = torch.tensor([[model.specials["[PAD]"], *after[:-1]]])
        rows = read(torch.tensor([before]), target=target)[0]
    else:
        prefix = {"prefix": torch.tensor([len(before)])} if model.objective.kind == "prefix" else {}
        rows = read(torch.tensor([before + after]), **prefix)[0, len(before) - 1 : -1]
    return rows.log_softmax(-1)[range(len(after)), after]


@pytest.fixture(params=MODELS)
def named(request: pytest.FixtureRequest) -> tuple[str, Model]:
    """A trained network; a fixture, since tests compute without gradients."""
    return request.param, toy(request.param, MODELS[request.param])


@pytest.mark.filterwarnings("ignore")
@torch.no_grad()
def test_scores_with_and_without_examples(named: tuple[str, Model], tmp_path: Path) -> None:
    name, model = named
    read = reader_of(model, name, tmp_path)
    found = {(row.shots, row.metric): row.score for row in score(model, TASK, shots=(0, 2), seeds=(5,)).scores}
    for shots in (0, 2):
        right, nll, probability = [], [], []
        for question in TASK.questions:
            examples = examples_for(TASK, question, draw_order(TASK, seed=5), shots)
            each = [logprobs(read, model, TASK.prompt(question, examples), text) for text in question.choices]
            sums = torch.stack([one.sum() for one in each])
            at = question.choices.index(question.answer)
            right.append(float(sums.argmax() == at))
            nll.append(-each[at].mean().item())
            probability.append(sums.softmax(0)[at].item())
        for metric, values in zip(TASK.metrics, (right, nll, probability), strict=True):
            assert found[shots, metric] == pytest.approx(sum(values) / len(values), abs=1e-4)


@pytest.mark.filterwarnings("ignore")
@torch.no_grad()
def test_losses_on_a_text(named: tuple[str, Model], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, model = named
    (tmp_path / "text.txt").write_text((LETTERS * 30 + LETTERS[::-1]) * 2)
    read, seen = reader_of(model, name, tmp_path / "model"), []

    def seeing(network: Any, examples: Any) -> Any:
        seen.append(examples)
        return losses(network, examples)

    monkeypatch.setattr(measuring, "losses", seeing)
    found = evaluate(model, tmp_path / "text.txt")
    total, count = 0.0, 0
    for examples in seen:
        given = {key: torch.from_numpy(values) for key, values in examples.inputs.items()}
        rows = read(given.pop("tokens"), **given).flatten(0, 1)
        rows = rows if examples.positions is None else rows[torch.from_numpy(examples.positions)]
        targets = torch.from_numpy(examples.targets).flatten()
        total += functional.cross_entropy(rows, targets, reduction="sum").item()
        count += len(targets)
    assert found.loss == pytest.approx(total / count, abs=1e-4)
    if MODELS[name] == "causal":
        stream, length = (tmp_path / "text.txt").read_bytes() + b"\0", model.network.shape.context
        rows = torch.tensor([list(stream[at : at + length + 1]) for at in range(0, len(stream) - length, length)])
        plain = functional.cross_entropy(read(rows[:, :-1]).transpose(1, 2), rows[:, 1:])
        assert found.loss == pytest.approx(plain.item(), abs=1e-4)
        assert found.perplexity == pytest.approx(plain.exp().item(), rel=1e-4)
