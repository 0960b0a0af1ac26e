"""How well a model predicts a text: loss, perplexity, bits per byte, and loss by position."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, asdict, dataclass
from pathlib import Path
from typing import Any

from foretoken.arguments import takes
from foretoken.compute.hardware import available_memory
from foretoken.compute.objective import CAUSAL, Objective
from foretoken.data import windows
from foretoken.errors import CorpusError, DesignError
from foretoken.evals.metrics import NORMAL_95
from foretoken.evals.text_corpus import TextCorpus, builder_for, finite_evaluation, whole_text
from foretoken.evals.windows import DomainLoss, WindowedText, domain_losses
from foretoken.generation import Model, open_model
from foretoken.generation.load import ModelSource
from foretoken.objectives import ExampleBuilder
from foretoken.results import Result
from foretoken.runs.record import PositionLoss
from foretoken.training.evaluate import EVAL_BATCH_TOKENS

DEFAULT_TOKENS = 1_000_000
"""Tokens of a text that are read unless asked otherwise."""


@dataclass(frozen=True, kw_only=True)
class TextLoss(Result):
    """How well a model predicts a text."""

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
    by_position: tuple[PositionLoss, ...]
    """causal: [first, last, loss] by position in the sequence, in doublings."""
    label_loss: float | None
    """Loss of the next-sentence labels; None without next_sentence."""
    stride: int | None = None
    """Tokens from one window to the next; None where sequences stand side by side, across documents."""
    word_perplexity: float | None = None
    """By word; of windows alone, which end with their document."""
    documents: int | None = None
    domains: tuple[DomainLoss, ...] = ()
    """By name, where it was asked for."""

    @property
    def perplexity(self) -> float:
        """The exponential of the loss: a uniform guess among so many tokens would have the same loss."""
        return math.exp(self.loss)

    @property
    def perplexity_range(self) -> tuple[float, float]:
        """The interval of 95 % that follows from the loss's standard error."""
        return math.exp(self.loss - NORMAL_95 * self.loss_se), math.exp(self.loss + NORMAL_95 * self.loss_se)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        rows = [list(row) for row in self.by_position]
        perplexity = {"perplexity": self.perplexity, "perplexity_range": list(self.perplexity_range)}
        plain = asdict(self)
        return plain | {"by_position": rows, "domains": list(plain["domains"])} | perplexity


@dataclass(frozen=True)
class EvaluateRequest:
    """A model, a text, and how the one is measured on the other."""

    source: ModelSource
    """A study with kept weights, or a folder of safetensors."""
    text: str | Path
    """Plain text, .jsonl (.gz, .zst) or .parquet; or a folder of these."""
    _: KW_ONLY
    objective: Objective | str | None = None
    """What is predicted; what the model was trained to predict unless given."""
    context: int | None = None
    """Tokens of a sequence; all that the model can read unless given."""
    tokens: float = DEFAULT_TOKENS
    """Tokens that are read at most, the first ones of the text."""
    column: str = "text"
    """What holds the text in .json, .jsonl, .csv, .tsv and .parquet."""
    encoding: str = "utf-8"
    """What the text is encoded in, as Python names it: gb18030, latin-1, ..."""
    stride: int | None = None
    """Read each document by itself in windows that begin so many tokens apart, in place of sequences side by side."""
    by: str = ""
    """Also the loss of each domain: the column that names it, or `folder` for subfolders. Documents are read by
    themselves, with a stride of half the context unless given."""
    run: str | None = None
    """Of a study, the run whose key begins so, in place of its target."""


@takes(EvaluateRequest)
def evaluate(request: EvaluateRequest) -> TextLoss:
    """The loss of a model on a file or folder of text, in sequences side by side that do not overlap.

    The arguments are the fields of `EvaluateRequest`. What is hidden depends on the text alone, so it is the same for
    all models. With `stride` or `by` every document is read by itself, in windows that overlap, and standard errors are
    clustered by document: only a model that predicts each next token can be measured so.

    Raises CorpusError for a text that cannot be read or is shorter than two sequences, DesignError for an objective or
    a context that the model does not have, CheckpointError for weights that give no loss, what `open_model` raises.
    """
    if not 1 <= request.tokens < 1e15:
        raise DesignError(
            "tokens must be between 1 and 1e15", expected="tokens of 1 or more", got=f"{request.tokens:g}"
        )
    model = open_model(request.source, request.run)
    if request.stride is not None or request.by:
        return _in_windows(model, request)
    corpus = whole_text(model, request.text, request.column, int(request.tokens), request.encoding)
    builder = builder_for(model, corpus, request.objective, request.context)
    _check_memory(builder)
    sequences = _count_sequences(builder, corpus)
    evaluation = finite_evaluation(model.network, builder, corpus, sequences)
    bits, reason = _bits_per_byte(evaluation.loss, corpus, builder.objective)
    return TextLoss(
        model=model.name,
        text=str(request.text),
        objective=builder.objective.kind,
        context=builder.shape.context,
        tokens=sequences * builder.objective.window(builder.shape).stride,
        sequences=sequences,
        separator=corpus.separator,
        loss=evaluation.loss,
        loss_se=evaluation.loss_se,
        bits_per_byte=bits,
        bits_per_byte_reason=reason,
        by_position=evaluation.by_position,
        label_loss=evaluation.label_loss,
    )


def _in_windows(model: Model, request: EvaluateRequest) -> TextLoss:
    """The loss on each document by itself. Raises DesignError for an objective that does not predict each token."""
    kind = request.objective.kind if isinstance(request.objective, Objective) else request.objective
    if (kind or model.objective.kind) != CAUSAL.kind or CAUSAL.kind not in model.family.objectives:
        raise DesignError(
            "windows are for models that predict each next token",
            expected=f"objective {CAUSAL.kind}",
            got=f"objective {kind or model.objective.kind}, family {model.family.name}",
            cure="leave out stride and by",
        )
    longest = model.network.shape.context
    context = request.context or longest
    if not 2 <= context <= longest:
        raise DesignError("the model cannot read windows of this length", expected=f"2 to {longest}", got=f"{context}")
    stride = request.stride if request.stride is not None else max(1, context // 2)
    text = WindowedText(
        path=request.text, column=request.column, encoding=request.encoding, by=request.by, tokens=int(request.tokens)
    )
    (whole, *domains), windows = domain_losses(model, text, context, stride)
    return TextLoss(
        model=model.name,
        text=str(request.text),
        objective=CAUSAL.kind,
        context=context,
        tokens=whole.tokens,
        sequences=windows,
        separator=model.separator,
        loss=whole.loss,
        loss_se=whole.loss_se or 0.0,
        bits_per_byte=whole.bits_per_byte,
        bits_per_byte_reason="the tokenizer loses some of the text" if whole.bits_per_byte is None else None,
        by_position=(),
        label_loss=None,
        stride=stride,
        word_perplexity=whole.word_perplexity,
        documents=whole.documents,
        domains=tuple(domains),
    )


def _count_sequences(builder: ExampleBuilder, corpus: TextCorpus) -> int:
    """Sequences that a text gives. Raises CorpusError when that is fewer than two."""
    window = builder.objective.window(builder.shape)
    sequences = windows(corpus.validation_tokens, window)
    if sequences < 2:
        raise CorpusError(
            "the text is shorter than two sequences",
            expected=f"at least {window.stride + window.length} tokens",
            got=f"{corpus.validation_tokens} tokens",
            cure="give more text, or a shorter context",
        )
    return sequences


def _check_memory(builder: ExampleBuilder) -> None:
    """Raise DesignError when the logits of the shortest batch do not fit in this machine's memory."""
    shape = builder.shape
    # float32 logits, 4 bytes each, are the largest tensor of an evaluation: [predicted positions, vocabulary]
    positions = max(EVAL_BATCH_TOKENS, shape.sequence_tokens) * builder.objective.predicted(shape)
    needed, available = 4.0 * positions * shape.vocabulary, available_memory()
    if needed > available:
        raise DesignError(
            "the model's outputs on one sequence do not fit in this machine's memory",
            expected=f"at most {available / 1e9:.3g} GB",
            got=f"{needed / 1e9:.3g} GB",
            cure="give a shorter context",
        )


def _bits_per_byte(loss: float, corpus: TextCorpus, objective: Objective) -> tuple[float | None, str | None]:
    if not objective.is_causal:
        return None, "not every token of the text is predicted"
    if corpus.bytes_per_token is None:
        return None, "the tokenizer loses some of the text"
    # nats per token -> bits per token (divided by log 2) -> bits per byte
    return loss / math.log(2) / corpus.bytes_per_token, None
