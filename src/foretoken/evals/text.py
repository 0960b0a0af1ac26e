"""How well a model predicts a text of the user's: loss, perplexity, bits per byte, and loss by place."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from foretoken.compute.hardware import available_memory
from foretoken.compute.objective import Objective
from foretoken.data import windows
from foretoken.errors import CheckpointError, CorpusError, DesignError
from foretoken.evals.text_corpus import TextCorpus, whole_text
from foretoken.generation import Model, open_model
from foretoken.generation.load import Source
from foretoken.models import Network
from foretoken.objectives import ExampleBuilder
from foretoken.training import examples
from foretoken.training.evaluate import EVAL_BATCH_TOKENS, Evaluation, held_out

MOST_TOKENS = 1_000_000
"""Tokens of a text that are read unless told."""


@dataclass(frozen=True, kw_only=True)
class TextLoss:
    """What `evaluate` gives."""

    model: str
    text: str
    objective: str
    context: int
    """Tokens of a sequence."""
    tokens: int
    """Tokens of text that were read."""
    sequences: int
    separator: int | None
    """The token between documents; None where none is known."""
    loss: float
    """Mean over predictions, in nats."""
    loss_se: float
    """Its standard error, with sequences as units; neighbours are taken for independent."""
    bits_per_byte: float | None
    """Bits that the model takes for a byte of text."""
    bits_per_byte_reason: str | None
    """Why there are none."""
    by_position: list[list[float]]
    """causal: [first, last, loss] by place in the sequence, in doublings."""
    label_loss: float | None
    """Loss of the labels; None but with next_sentence."""

    @property
    def perplexity(self) -> float:
        """The exponential of the loss: equally likely tokens among which the model is left to guess."""
        return math.exp(self.loss)

    @property
    def perplexity_range(self) -> tuple[float, float]:
        """The interval of 95 % that follows from the loss's standard error."""
        return math.exp(self.loss - 1.96 * self.loss_se), math.exp(self.loss + 1.96 * self.loss_se)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self) | {"perplexity": self.perplexity, "perplexity_range": list(self.perplexity_range)}


def evaluate(
    source: Source,
    text: str | Path,
    *,
    objective: Objective | str | None = None,
    context: int | None = None,
    tokens: float = MOST_TOKENS,
    column: str = "text",
    run: str | None = None,
) -> TextLoss:
    """The loss of a model on a file or folder of text, in sequences side by side that do not overlap.

    `source` is as `open_model` takes it; `objective` is what the model was trained to predict, unless given; `context`
    the tokens of a sequence, all that the model can read unless given; `tokens` how many of the text's are read at
    most, the first ones; `column` holds the text in .jsonl and .parquet. What is hidden depends on the text alone.
    Raises CorpusError for a text that cannot be read or is shorter than two sequences, DesignError for an objective or
    a context that the model does not have, CheckpointError for weights that give no loss, what `open_model` raises.
    """
    if not 1 <= tokens < 1e15:
        raise DesignError("no text can be read so", expected="tokens of 1 or more", got=f"{tokens:g}")
    model = open_model(source, run)
    corpus = whole_text(model, text, column, int(tokens))
    builder = builder_for(model, corpus, objective, context)
    _check_memory(builder)
    sequences = _sequences(builder, corpus)
    found = judged(model.network, builder, corpus, sequences)
    bits, reason = _bits_per_byte(found.loss, corpus, builder.objective.kind)
    return TextLoss(
        model=model.name,
        text=str(text),
        objective=builder.objective.kind,
        context=builder.shape.context,
        tokens=sequences * builder.objective.window(builder.shape).stride,
        sequences=sequences,
        separator=corpus.separator,
        loss=found.loss,
        loss_se=found.loss_se,
        bits_per_byte=bits,
        bits_per_byte_reason=reason,
        by_position=found.by_position,
        label_loss=found.label_loss,
    )


def judged(network: Network, builder: ExampleBuilder, corpus: TextCorpus, sequences: int) -> Evaluation:
    """What a network gives on so many sequences of what is held out. Raises CheckpointError when that is no number."""
    found = held_out(network, builder, corpus, sequences)
    if not math.isfinite(found.loss):
        told, cure = "the model has no loss on this text", "its weights are of no use"
        raise CheckpointError(told, expected="a number", got=f"{found.loss}", cure=cure)
    return found


def _sequences(builder: ExampleBuilder, corpus: TextCorpus) -> int:
    """Sequences that a text gives. Raises CorpusError when that is fewer than two."""
    window = builder.objective.window(builder.shape)
    number = windows(corpus.validation_tokens, window)
    if number < 2:
        raise CorpusError(
            "the text is shorter than two sequences",
            expected=f"at least {window.stride + window.length} tokens",
            got=f"{corpus.validation_tokens} tokens",
            cure="give more text, or a shorter context",
        )
    return number


def _check_memory(builder: ExampleBuilder) -> None:
    """Raise DesignError when the logits of the shortest batch do not fit in this machine's memory."""
    positions = max(EVAL_BATCH_TOKENS, builder.shape.sequence_tokens) * builder.objective.predicted(builder.shape)
    needed, available = 4.0 * positions * builder.shape.vocabulary, available_memory()
    if needed > available:
        raise DesignError(
            "the model's outputs on one sequence do not fit in this machine's memory",
            expected=f"at most {available / 1e9:.3g} GB",
            got=f"{needed / 1e9:.3g} GB",
            cure="give a shorter context",
        )


def _bits_per_byte(loss: float, corpus: TextCorpus, kind: str) -> tuple[float | None, str | None]:
    if kind != "causal":
        return None, "not every token of the text is predicted"
    if corpus.bytes_per_token is None:
        return None, "the tokenizer loses some of the text"
    return loss / math.log(2) / corpus.bytes_per_token, None


def builder_for(
    model: Model, corpus: TextCorpus, objective: Objective | str | None, context: int | None
) -> ExampleBuilder:
    """What makes the examples of a model on a text. Raises DesignError, CorpusError, CheckpointError."""
    model.check_head()
    shape = model.network.shape
    if context is not None and not (type(context) is int and 8 <= context <= shape.context):
        raise DesignError(
            "the model cannot read such sequences",
            expected=f"a whole number from 8 to {shape.context}",
            got=f"{context}",
            cure="give another context",
        )
    own = objective in (None, model.objective.kind)
    aim = model.objective if own else Objective(kind=objective) if isinstance(objective, str) else objective
    assert aim is not None
    shape = replace(shape, context=context or shape.context)
    aim.check(shape)
    return examples.example_builder(aim, shape, corpus)
