"""Every family and objective: a run that is stopped and resumed ends in the same weights and moments, bit for bit."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

from foretoken.compute.objective import KINDS, Objective, families_of
from foretoken.compute.shape import PRESETS, ModelShape
from foretoken.data import TokenizedCorpus, prepare_corpus
from foretoken.runs.corpus_section import CorpusSection
from foretoken.runs.spec import RunSpec
from foretoken.training.checkpoint import Checkpoint
from foretoken.training.evaluate import evaluate
from foretoken.training.loop import advance
from foretoken.training.state import TrainState

STEPS, COOLDOWN = 6, 2
CASES: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {
    "gpt2": ("gpt2", "causal", {}, {}),
    "llama, documents apart": ("llama", "causal", {"separate_documents": True}, {"kv_heads": 1}),
    "mixtral": ("mixtral", "causal", {}, {"experts": 4}),
    "experts with capacity, one shared": (
        "gpt2", "causal", {},
        {"experts": 4, "active_experts": 1, "shared_experts": 1, "expert_capacity_factor": 1.0, "expert_every": 2},
    ),
    "lstm": ("lstm", "causal", {}, {}),
    "lstm, documents apart": ("lstm", "causal", {"separate_documents": True}, {}),
    "prefix, next tokens": ("prefix", "causal", {}, {}),
    "prefix": ("prefix", "prefix", {"separate_documents": True}, {}),
    "prefix, spans": ("prefix", "span_corruption", {}, {}),
    "bert": ("bert", "masked", {"next_sentence": True}, {}),
    "encoder, spans": ("encoder", "masked", {"mean_span_length": 2.0, "separate_documents": True}, {}),
    "t5": ("t5", "span_corruption", {}, {}),
    "t5 v1.1, shared": ("t5_v1_1", "prefix", {}, {"shared_stacks": True}),
}  # fmt: skip


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> TokenizedCorpus:
    """Fewer tokens than the runs see, in short documents."""
    home = tmp_path_factory.mktemp("short")
    stories = [json.dumps({"text": f"Story {n}: {n % 13} bears met {n * n}."}) for n in range(60)]
    (home / "stories.jsonl").write_text("\n".join(stories))
    section = CorpusSection(source="text", path=str(home / "stories.jsonl"), validation_share=0.3)
    return prepare_corpus(section, home / "corpora", 0)


def make_spec(case: str) -> RunSpec:
    preset, kind, options, choices = CASES[case]
    objective = Objective(kind=kind, **options)
    plain = {"layers": 2, "width": 16, "heads": 2, "context": 24, "vocabulary": 256}
    shape = ModelShape(**{**plain, **PRESETS[preset], **choices})
    if shape.family == "encoder_decoder":
        shape = replace(shape, decoder_context=objective.target_length(24) if kind == "span_corruption" else 24)
    if objective.next_sentence:
        shape = replace(shape, classes=2, pooler=True, token_types=2)
    shape = replace(shape, vocabulary=256 + len(objective.specials(shape)))
    objective.check(shape)
    batch = 6 * shape.sequence_tokens
    return RunSpec(
        shape=shape,
        tokens=STEPS * batch,
        batch_tokens=batch,
        learning_rate=1e-2,
        warmup_tokens=2 * batch,
        schedule="wsd",
        cooldown=COOLDOWN / STEPS,
        final_learning_rate_share=0.0,
        weight_decay=0.1,
        beta1=0.9,
        beta2=0.95,
        clip=1.0,
        dropout=0.1,
        precision="float32",
        threads=1,
        seed=0,
        objective=objective,
        corpus="c",
        tokenizer="t",
        eval_set="v",
        eval_tokens=10 * shape.sequence_tokens,
        software="s",
        repeat=True,
    )


def digest(state: TrainState) -> str:
    """Of weights, moments and step."""
    found = hashlib.sha256(str(state.step).encode())
    for name, tensor in state.tensors().items():
        found.update(name.encode() + tensor.numpy().tobytes())
    return found.hexdigest()


@pytest.mark.parametrize("case", CASES)
def test_a_run_resumed_at_any_step_is_the_run_itself(case: str, corpus: TokenizedCorpus) -> None:
    """From what a checkpoint holds after each step, as bytes, in a network that has seen nothing."""
    spec, saved, passed = make_spec(case), [], []

    def keep(state: TrainState) -> None:
        checkpoint = state.snapshot()
        saved.append((save(checkpoint.tensors), json.dumps(checkpoint.state_json)))
        passed.append(digest(state))

    whole = TrainState.start(spec)
    advance(whole, spec, corpus, STEPS, keep)
    assert len({*passed}) == STEPS
    assert sum(name.startswith("optimizer.exp_avg_sq.") for name in whole.tensors()) == len(
        [*whole.network.parameters()]
    )
    loss = evaluate(whole, spec, corpus)
    for step, (tensors, plain) in enumerate(saved, start=1):
        state = TrainState.start(spec)
        state.restore(Checkpoint(load(tensors), json.loads(plain)))
        torch.manual_seed(step)
        advance(state, spec, corpus, STEPS, lambda state: None)
        assert digest(state) == passed[-1], step
        assert state.window == whole.window
        assert evaluate(state, spec, corpus) == loss


def test_every_pair_of_family_and_objective_is_resumed() -> None:
    tried = {(str(PRESETS[preset].get("family", "decoder")), kind) for preset, kind, _, _ in CASES.values()}
    assert tried == {(family, kind) for kind in KINDS for family in families_of(kind)}
