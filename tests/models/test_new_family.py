"""A new family is a module and its record: counted, planned, trained, resumed, fitted, and refused what it lacks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from foretoken.compute.activations import INDEX, Step
from foretoken.compute.families import FAMILIES, Family, cannot
from foretoken.compute.flops import FLOPS_PER_TOKEN, training_flops
from foretoken.compute.parameters import count_parameters
from foretoken.compute.proportions import Proportions
from foretoken.compute.recurrent import recurrent_flops, recurrent_parameters
from foretoken.compute.serving import kv_cache_bytes
from foretoken.compute.shape import PRESETS, ModelShape
from foretoken.compute.shape_fields import ShapeFields
from foretoken.data import TokenizedCorpus, prepare_corpus
from foretoken.designs import Recipe, TokenSource, make_design
from foretoken.errors import DesignError
from foretoken.fits import fit
from foretoken.generation.cache import start_cache
from foretoken.launchers.jobs import WorkerContext
from foretoken.models import NETWORKS, build
from foretoken.models.weights import Initial
from foretoken.runs.corpus_section import CorpusSection, LanguageSection
from foretoken.runs.schema import ModelSection
from foretoken.runs.spec import RunSpec
from foretoken.runs.study_file import Study
from foretoken.runs.table import table_from_records
from foretoken.training.loop import advance
from foretoken.training.state import TrainState
from foretoken.training.train import train

STEPS = 6


class Gru(nn.Module):
    """`network(tokens_BT)` gives logits [B, T, vocabulary]."""

    def __init__(self, shape: ModelShape, dropout: float = 0.0) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.dropout = nn.Dropout(dropout)
        self.gru = nn.GRU(shape.width, shape.width, shape.layers, bias=shape.bias)
        self.head = None if shape.tied else nn.Linear(shape.width, shape.vocabulary, bias=False)
        self.initial = {f"gru.{name}": Initial(std=shape.width**-0.5) for name, _ in self.gru.named_parameters()}

    @property
    def head_weight(self) -> Tensor:
        """The output head, [V, W]."""
        return self.embedding.weight if self.head is None else self.head.weight

    def features(self, tokens_BT: Tensor, *, documents: Tensor | None = None) -> Tensor:
        """What the head reads at every position, [B, T, W]."""
        if documents is not None:
            raise cannot(self.shape.family, "keep documents apart", [FAMILIES["lstm"], FAMILIES["decoder"]])
        x_TBW: Tensor = self.gru(self.dropout(self.embedding(tokens_BT.t())))[0]
        return self.dropout(x_TBW).transpose(0, 1)

    def forward(self, tokens_BT: Tensor) -> Tensor:
        """Logits of the next token at every position."""
        return functional.linear(self.features(tokens_BT), self.head_weight)


def activations(shape: ShapeFields, step: Step) -> float:
    """Elements that torch keeps for each position: the input, three gates, and the state before and after."""
    return step.sequences * shape.context * (INDEX + shape.layers * 6 * shape.width)


GRU = Family(
    name="gru",
    recurrent=True,
    objectives=("causal",),
    usual_objective="causal",
    preset=None,
    count_parameters=recurrent_parameters(gates=3),
    training_flops=recurrent_flops(gates=3),
    activations=activations,
    cached_per_token=None,
)
PRESET = {"family": "gru", "heads": 1, "positions": "none", "tied": True, "bias": True}


@pytest.fixture
def gru() -> Iterator[None]:
    """The three lines that a new family is in the library: its record, a preset and its network."""
    with patch.dict(FAMILIES, gru=GRU), patch.dict(PRESETS, gru=PRESET), patch.dict(NETWORKS, gru=Gru):
        yield


def shape(**choices: Any) -> ModelShape:
    return ModelShape(**{"layers": 2, "width": 16, "context": 16, "vocabulary": 32, **PRESETS["gru"], **choices})


@pytest.mark.usefixtures("gru")
@pytest.mark.parametrize("choices", [{}, {"tied": False}, {"bias": False}, {"layers": 1}])
def test_it_is_counted(choices: dict[str, Any]) -> None:
    wanted = shape(**choices)
    network = build(wanted)
    assert isinstance(network, Gru)
    assert sum(weight.numel() for weight in network.parameters()) == count_parameters(wanted).total
    assert training_flops(wanted, 1) == 6 * (wanted.layers * 3 * 2 * 16**2 + 32 * 16)


@pytest.mark.usefixtures("gru")
def test_no_convention_takes_it_for_a_transformer() -> None:
    for convention in FLOPS_PER_TOKEN:
        if convention == "matmul" or convention.startswith("6nd"):
            assert training_flops(shape(), 1, convention) > 0
        else:
            with pytest.raises(DesignError, match="not defined for this family"):
                training_flops(shape(), 1, convention)


@pytest.mark.usefixtures("gru")
def test_what_it_lacks_is_refused_by_its_name() -> None:
    network = build(shape())
    with pytest.raises(DesignError, match="the family 'gru' cannot write text"):
        start_cache(network)
    with pytest.raises(DesignError, match="the family 'gru' cannot"):
        kv_cache_bytes(shape(), 100)
    with pytest.raises(DesignError, match="the family 'gru' cannot keep documents apart"):
        network.features(torch.zeros(1, 4, dtype=torch.long), documents=torch.zeros(1, 4, dtype=torch.long))
    with pytest.raises(DesignError, match="family 'gru'"):
        Proportions(family="gru")
    with pytest.raises(DesignError, match="models have experts"):
        shape(experts=4, active_experts=1)
    with pytest.raises(ValueError, match="the family 'gru' has no positions"):
        ModelSection(preset="gru", positions="rotary")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> TokenizedCorpus:
    section = CorpusSection(
        source="zipf_markov", validation_share=0.2, language=LanguageSection(symbols=32, tokens=120_000)
    )
    return prepare_corpus(section, tmp_path_factory.mktemp("language") / "corpora", 0)


def spec() -> RunSpec:
    return RunSpec(
        shape=shape(),
        tokens=STEPS * 64,
        batch_tokens=64,
        learning_rate=1e-2,
        warmup_tokens=64,
        schedule="wsd",
        cooldown=0.3,
        final_learning_rate_share=0.0,
        weight_decay=0.1,
        beta1=0.9,
        beta2=0.95,
        clip=1.0,
        dropout=0.1,
        precision="float32",
        threads=1,
        seed=0,
        corpus="c",
        tokenizer="t",
        eval_set="v",
        eval_tokens=160,
        software="s",
    )


@pytest.mark.usefixtures("gru")
def test_a_run_that_is_stopped_and_resumed_ends_in_the_same_bits(corpus: TokenizedCorpus) -> None:
    whole, first, second = (TrainState.start(spec()) for _ in range(3))
    advance(whole, spec(), corpus, STEPS, lambda state: None)
    advance(first, spec(), corpus, STEPS // 2, lambda state: None)
    torch.manual_seed(1)
    second.restore(first.snapshot())
    advance(second, spec(), corpus, STEPS, lambda state: None)
    assert not torch.equal(first.network.head_weight, whole.network.head_weight)
    for name, tensor in whole.tensors().items():
        assert torch.equal(tensor, second.tensors()[name]), name


@pytest.mark.usefixtures("gru")
def test_a_ladder_of_it_is_planned_trained_and_fitted(corpus: TokenizedCorpus, tmp_path: Path) -> None:
    study = Study.model_validate(
        {
            "name": "gru",
            "model": {"preset": "gru", "context": 8, "layers": 1},
            "training": {"batch_tokens": {"value": 64}, "eval_tokens": 256},
            "design": {"kind": "ladder", "params": [500, 1000, 2000, 4000], "tokens_per_param": [0.3]},
            "target": {"compute_factor": 4},
        }
    )
    source = TokenSource(address="c", tokenizer="t", eval_set="v", vocabulary=32, train_tokens=corpus.train_tokens)
    design = make_design(Recipe(study=study, source=source, torch_version="2", bfloat16=False), target_threads=1)
    context = WorkerContext(folder=tmp_path, corpus=corpus.folder)
    records = [record for trunk in design.trunks for record in train(trunk, context)]
    assert [record.status for record in records] == ["finished"] * len(design.runs)
    assert all(run.flops == run.tokens * training_flops(run.shape, 1) for run in design.runs)
    fitted = fit(table_from_records(records, "gru"), "kaplan_params", draws=50)
    assert all(value is not None and value > 0 for value in fitted.parameters.values())


def test_it_is_gone_when_its_lines_are() -> None:
    assert not {"gru"} & (set(FAMILIES) | set(PRESETS) | set(NETWORKS))
    with pytest.raises(DesignError, match="unknown family"):
        replace(ModelShape(layers=1, width=8, heads=1, context=8, vocabulary=8), family="gru")
