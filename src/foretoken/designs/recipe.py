"""From a shape and a number of tokens to a RunSpec, by the study's recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from foretoken._version import RECIPE
from foretoken.compute.flops import matmul
from foretoken.compute.objective import Objective
from foretoken.compute.parameters import count_parameters
from foretoken.compute.shape import ModelShape
from foretoken.data.specials import special_ids
from foretoken.designs.shapes import nearest_shape, shape_of_params, shape_of_width
from foretoken.errors import CorpusError, DesignError
from foretoken.runs.spec import Precision, RouterLosses, RunSpec
from foretoken.runs.study_file import Study
from foretoken.units import format_flops

BFLOAT16_WIDTH = 256
"""Width from which autocast to bfloat16 was faster than float32 on a processor with AVX-512 BF16."""


@dataclass(frozen=True, kw_only=True)
class TokenSource:
    """What a design must know of the tokenised corpus."""

    address: str
    tokenizer: str
    eval_set: str
    vocabulary: int
    train_tokens: int
    specials: Mapping[str, int] = field(default_factory=dict)
    """Special tokens that the tokenizer has."""
    fixed_vocabulary: bool = False
    """Whether no others may be added."""
    separator: int | None = None
    """The token that ends a document, if there is one."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A study's rules, applied to one shape at a time."""

    study: Study
    source: TokenSource
    torch_version: str
    bfloat16: bool
    """Whether the processor multiplies bfloat16 natively."""

    def spec(self, shape: ModelShape, tokens: float, *, group: str, threads: int) -> RunSpec:
        """One run. Raises DesignError when the tokens do not make one step."""
        training, params = self.study.training, float(self.active_params(shape))
        length = shape.sequence_tokens
        batch = max(1, round(training.batch_tokens.at(params) / length)) * length
        steps = round(tokens / batch)
        if steps < 2:
            raise DesignError(
                f"a budget of {format_flops(self.flops_per_token(shape) * tokens)} is too small for one step",
                expected=f"at least {2 * batch} tokens ({format_flops(self.flops_per_token(shape) * 2 * batch)})",
                got=f"{tokens:.0f} tokens for a model of {params:.0f} parameters",
                cure="raise the budget or lower training.batch_tokens",
            )
        self._check_sequences(length, batch)
        return RunSpec(
            shape=shape,
            tokens=steps * batch,
            batch_tokens=batch,
            learning_rate=training.learning_rate.at(params),
            warmup_tokens=0,
            schedule=training.schedule,
            cooldown=training.cooldown,
            final_learning_rate_share=training.final_learning_rate_share,
            weight_decay=training.weight_decay,
            beta1=training.beta1,
            beta2=training.beta2,
            clip=training.clip,
            dropout=training.dropout,
            spikes=training.spikes,
            precision=self._precision(shape),
            threads=threads,
            seed=self.study.seed,
            objective=self.objective,
            router_losses=self.study.model.router_losses if shape.experts else RouterLosses(),
            corpus=self.source.address,
            tokenizer=self.source.tokenizer,
            eval_set=self.source.eval_set,
            eval_tokens=int(training.eval_tokens),
            software=f"recipe {RECIPE}, torch {self.torch_version}",
            repeat=self.study.corpus.repeat,
            group=group,
        )

    def _check_sequences(self, length: int, batch: int) -> None:
        if self.objective.next_sentence and batch < 2 * length:
            raise DesignError(
                "next_sentence takes every other second part from another sequence of the batch",
                expected=f"training.batch_tokens of {2 * length} or more: two sequences",
                got=f"{batch} tokens",
            )
        if self.study.training.eval_tokens < 2 * length:
            raise DesignError(
                "the loss of a single sequence has no standard error",
                expected=f"training.eval_tokens of {2 * length} or more: two sequences",
                got=f"{self.study.training.eval_tokens:.0f}",
            )

    def with_warmups(self, specs: Sequence[RunSpec], known: Mapping[ModelShape, int] | None = None) -> list[RunSpec]:
        """Set each warm-up to the study's share of the shortest run of its shape, unless the shape's is `known`.

        One warm-up per shape, because a trunk has one.
        """
        share, warmups = self.study.training.warmup_share, dict(known or {})
        for spec in sorted(specs, key=lambda spec: spec.tokens):
            warmups.setdefault(spec.shape, round(share * spec.tokens))
        return [replace(spec, warmup_tokens=warmups[spec.shape]) for spec in specs]

    @property
    def objective(self) -> Objective:
        """What the runs learn to predict."""
        return self.study.objective

    @cached_property
    def vocabulary(self) -> int:
        """Tokens of the networks: those of the text, and the special ones that the objective needs.

        Raises DesignError for an objective that does not fit the models, CorpusError for a tokenizer that does not.
        """
        nominal = shape_of_width(self.study.model, self.objective, self.source.vocabulary, 64)
        self.objective.check(nominal)
        if self.objective.separate_documents and self.source.separator is None:
            raise CorpusError(
                "documents cannot be kept apart in this corpus: no token ends one",
                got=f"tokenizer {self.source.tokenizer!r}, which has no separator",
                cure="leave out objective.separate_documents, or take text and a tokenizer that has one",
            )
        wanted = self.objective.specials(nominal)
        return special_ids(self.source.specials, self.source.vocabulary, self.source.fixed_vocabulary, wanted)[1]

    def shape(self, params: float) -> ModelShape:
        """The shape with about this many parameters; raises DesignError when there is none."""
        return shape_of_params(self.study.model, self.objective, self.vocabulary, params)

    def nearest_shape(self, params: float) -> ModelShape:
        """The shape whose parameters come nearest, however far that is."""
        return nearest_shape(self.study.model, self.objective, self.vocabulary, params)

    def flops_per_token(self, shape: ModelShape) -> float:
        """Exact training FLOPs of one token."""
        return matmul(shape, self.objective.predicted(shape))

    def params(self, shape: ModelShape) -> int:
        """Parameters of a shape."""
        return count_parameters(shape).total

    def active_params(self, shape: ModelShape) -> int:
        """Parameters that a token passes: what the rules of the recipe go by."""
        return count_parameters(shape).active

    @property
    def listed(self) -> list[ModelShape]:
        """The sizes that the study lists; none where any size can be built."""
        return []

    def target_shape(self, params: float) -> ModelShape:
        """The target's shape; raises DesignError where there is none of about so many parameters."""
        return self.shape(params)

    def _precision(self, shape: ModelShape) -> Precision:
        wanted = self.study.training.precision
        if wanted != "auto":
            return wanted
        return "bfloat16" if self.bfloat16 and shape.width >= BFLOAT16_WIDTH else "float32"
