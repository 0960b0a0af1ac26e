"""Speed of the training loop for every family beside transformers' model of the same shape (and torch.nn.LSTM).

usage: python benchmarks/families.py [--rounds 5] [--threads 2] [--seconds 1.0] [--same-process] [--families lstm,...]

As benchmarks/training.py: every contender trains the same network from the same weights on the same examples, in
float32, with fused AdamW and clipping at 1.0; the third step's losses must agree; each has a process of its own, and
they take turns. Peers compute logits at every position and leave out what is not predicted by `ignore_index`, as
transformers' own losses do. `--same-process` gives them what training.process sets up for us.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

import training
from foretoken.compute.objective import Objective
from foretoken.compute.shape import PRESETS, ModelShape
from foretoken.data import TokenizedCorpus, batch
from foretoken.models.pretrained import save_pretrained
from foretoken.objectives import Examples, make_examples
from foretoken.objectives.examples import batch_rng, example_builder
from foretoken.runs.spec import RouterLosses, RunSpec
from foretoken.training.state import TrainState

FAMILIES = {
    "decoder": ("llama", "causal"),
    "prefix": ("prefix", "prefix"),
    "experts": ("mixtral", "causal"),
    "encoder": ("bert", "masked"),
    "encoder_decoder": ("t5_v1_1", "span_corruption"),
    "lstm": ("lstm", "causal"),
}
"""Preset and objective."""
DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob", "dropout_rate", "attention_dropout")
SHAPES = [(64, 4, 128, 16, 1024), (256, 4, 128, 16, 1024)]
"""Width, layers, context, sequences, symbols of the language."""


class PlainLstm(nn.Module):
    """torch's LSTM between an embedding and the same weights as head."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.lstm = nn.LSTM(shape.width, shape.width, num_layers=shape.layers, batch_first=True)

    def forward(self, tokens: Tensor) -> Tensor:
        return functional.linear(self.lstm(self.embedding(tokens))[0], self.embedding.weight)


def plain_lstm(shape: ModelShape, weights: dict[str, Tensor]) -> nn.Module:
    network = PlainLstm(shape)
    network.load_state_dict(weights)
    return network


def of_transformers(network: Any) -> nn.Module:
    """transformers' model with the weights of ours, through a checkpoint. Raises ImportError without transformers."""
    import transformers

    with tempfile.TemporaryDirectory() as folder:
        shape = network.shape
        if shape.family == "prefix":  # a LLaMA with another mask
            network.shape = replace(shape, family="decoder")
        save_pretrained(network, folder)
        network.shape = shape
        config = transformers.AutoConfig.from_pretrained(folder)
        kind = config.architectures[0]
        still = {name: 0.0 for name in DROPOUTS if name in config.to_dict()}
        return getattr(transformers, kind).from_pretrained(folder, **still)


class Peer(training.Plain):
    """The loop that a competent person writes, around a network of transformers or of torch."""

    def __init__(self, spec: RunSpec, corpus: TokenizedCorpus) -> None:
        ours = TrainState.start(spec).network
        lstm = spec.shape.family == "lstm"
        super().__init__(plain_lstm(spec.shape, ours.state_dict()) if lstm else of_transformers(ours), spec, corpus)
        self.builder, self.window = (
            example_builder(spec.objective, spec.shape, corpus),
            spec.objective.window(spec.shape),
        )

    def loss(self) -> Tensor:
        """The loss of the step's examples."""
        seed, sequences = self.spec.seed, self.spec.sequences
        text = batch(self.corpus, seed=seed, step=self.step, sequences=sequences, window=self.window)
        examples = make_examples(self.builder, text, batch_rng(seed, self.step))
        logits = self.logits(examples)
        return functional.cross_entropy(logits.flatten(0, 1), labels_of(examples, logits.shape))

    def logits(self, examples: Examples) -> Tensor:
        inputs = {name: torch.from_numpy(values) for name, values in examples.inputs.items()}
        tokens, family = inputs["tokens"], self.spec.shape.family
        if family == "lstm":
            return self.network(tokens)
        if family == "encoder_decoder":
            return self.network(input_ids=tokens, decoder_input_ids=inputs["target"], use_cache=False).logits
        more: dict[str, Any] = {} if family == "encoder" else {"use_cache": False}
        if family == "prefix":
            length = tokens.shape[1]
            seen = torch.ones(length, length, dtype=torch.bool).tril() | (
                torch.arange(length) < inputs["prefix"][:, None, None]
            )
            more["attention_mask"] = torch.zeros(seen.shape).masked_fill_(~seen, torch.finfo(torch.float32).min)[
                :, None
            ]
        return self.network(input_ids=tokens, **more).logits


def labels_of(examples: Examples, shape: torch.Size) -> Tensor:
    """Targets at the positions that predict, -100 elsewhere."""
    if examples.positions is None:
        return torch.from_numpy(examples.targets).flatten()
    labels = torch.full((shape[0] * shape[1],), -100)
    labels[torch.from_numpy(examples.positions)] = torch.from_numpy(examples.targets)
    return labels


def contender(name: str, spec: RunSpec, corpus: TokenizedCorpus) -> Any:
    """A loop by its name."""
    return training.Ours(spec, corpus) if name == "foretoken" else Peer(spec, corpus)


def make_spec(family: str, sizes: tuple[int, ...], threads: int, corpus: TokenizedCorpus) -> RunSpec:
    """The run of a family. Routers' losses are left out: transformers adds them only when asked."""
    (width, layers, context, sequences, symbols), (preset, kind) = sizes, FAMILIES[family]
    objective, plain = (
        Objective(kind=kind),
        training.make_spec((width, layers, context, sequences, symbols), "float32", threads, corpus),
    )
    choices: dict[str, Any] = {"heads": width // training.HEAD_WIDTH, **PRESETS[preset]}
    if choices.get("family") == "encoder":
        choices["token_types"] = 2  # transformers' BERT always has them
    if choices.get("family") == "encoder_decoder":
        choices["decoder_context"] = objective.target_length(context)
    shape = ModelShape(layers=layers, width=width, context=context, vocabulary=symbols, **choices)
    shape = replace(shape, vocabulary=symbols + len(objective.specials(shape)))
    tokens = sequences * shape.sequence_tokens
    return replace(
        plain,
        shape=shape,
        objective=Objective(kind=kind),
        tokens=tokens * 10**6,
        batch_tokens=tokens,
        warmup_tokens=tokens,
        router_losses=RouterLosses(load_balance=0.0, z=0.0),
    )


def compare(family: str, sizes: tuple[int, ...], corpus: TokenizedCorpus, options: argparse.Namespace) -> None:
    """Time both at one shape and print a line."""
    spec = make_spec(family, sizes, options.threads, corpus)
    racers = [training.Racer(name, spec, corpus, options) for name in ("foretoken", "peer")]
    ours, theirs = racers
    if theirs.loss is None:
        print(f"{family}: transformers is not installed")
        return
    assert abs(ours.loss - theirs.loss) < 1e-3, (family, ours.loss, theirs.loss)
    for _ in range(options.rounds):
        for racer in racers:
            racer.race()
    for racer in racers:
        racer.end()
    medians = [statistics.median(racer.speeds) for racer in racers]
    print(
        f"{family:16s} width {sizes[0]:4d}: {medians[0]:8.0f} against {medians[1]:8.0f} tokens/s,"
        f" {training.against(ours.speeds, theirs.speeds)} times; loss of step 3: {ours.loss:.5f}, {theirs.loss:.5f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--families", default=",".join(FAMILIES))
    parser.add_argument("--same-process", action="store_true")
    options = parser.parse_args()
    options.contender = contender
    with tempfile.TemporaryDirectory() as folder:
        corpus = training.make_corpus(SHAPES[0][4], Path(folder))
        for sizes in SHAPES:
            for family in options.families.split(","):
                compare(family, sizes, corpus, options)


if __name__ == "__main__":
    main()
