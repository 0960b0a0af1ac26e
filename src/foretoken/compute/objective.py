"""What a network learns to predict, and what that asks of its shape and of the text. No torch here.

`causal`           each token from those before it (decoder, prefix, lstm)
`prefix`           the rest of a text from its beginning, which is seen both ways (prefix, encoder_decoder)
`masked`           tokens that were hidden, from all others (encoder); with `next_sentence`, also which text goes on
`span_corruption`  the spans that sentinels stand for (encoder_decoder, prefix)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

from annotated_types import Ge, Gt, Le, Lt

from foretoken.arguments import nearest
from foretoken.compute.shape import ModelShape
from foretoken.errors import DesignError

PAD, CLS, SEP, MASK = "[PAD]", "[CLS]", "[SEP]", "[MASK]"
"""Special tokens. A decoder behind an encoder starts with PAD, as T5's does."""
ObjectiveKind = Literal["causal", "prefix", "masked", "span_corruption"]
FAMILIES_OF: dict[ObjectiveKind, tuple[str, ...]] = {
    "causal": ("decoder", "prefix", "lstm"),
    "prefix": ("prefix", "encoder_decoder"),
    "masked": ("encoder",),
    "span_corruption": ("encoder_decoder", "prefix"),
}
"""The families that each objective can train."""
MEAN_SPAN: dict[ObjectiveKind, float] = {"masked": 1.0, "span_corruption": 3.0}
"""Tokens of a hidden span: single tokens in BERT (arXiv 1810.04805), 3 in T5 (arXiv 1910.10683, section 3.3.4)."""
KINDS_WITH: dict[str, tuple[ObjectiveKind, ...]] = {
    "corruption_rate": ("masked", "span_corruption"),
    "mean_span_length": ("masked", "span_corruption"),
    "next_sentence": ("masked",),
    "separate_documents": ("causal", "prefix", "masked"),
}
"""The objectives on which each option has an effect."""


class Window(NamedTuple):
    """How the text is cut for sequences."""

    length: int
    """Tokens of text that one sequence reads."""
    stride: int
    """Tokens from one window to the next."""


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What a network learns to predict, with its options.

    Raises DesignError for an unknown kind, and for options that the kind does not have.
    """

    kind: ObjectiveKind = "causal"
    corruption_rate: Annotated[float, Gt(0.0), Lt(1.0)] = 0.15
    """masked, span_corruption: share of the text that is hidden."""
    mean_span_length: Annotated[float, Ge(0.0), Le(1000.0)] = 0.0
    """masked, span_corruption: mean length of a hidden span, in tokens; 0 means 1 and 3."""
    next_sentence: bool = False
    """masked: whether the first state also tells if the second half of the text goes on from the first."""
    separate_documents: bool = False
    """Whether documents that share a sequence do not see each other (one stack only)."""

    def __post_init__(self) -> None:
        objective_kind(self.kind)
        if not 0 < self.corruption_rate < 1:
            raise DesignError(
                "an objective hides a share of the text",
                expected="a corruption_rate between 0 and 1",
                got=f"{self.corruption_rate}",
                cure=f"leave corruption_rate out for {Objective.corruption_rate:g}",
            )
        if self.mean_span_length and not 1 <= self.mean_span_length < math.inf:
            raise DesignError(
                "the mean span of an objective is at least 1 token",
                expected="a finite number, 1 or more; or 0 for the objective's own",
                got=f"{self.mean_span_length}",
                cure="leave mean_span_length out",
            )
        for name in self._options_set():
            if self.kind not in KINDS_WITH[name]:
                kinds = " or ".join(KINDS_WITH[name])
                raise DesignError(
                    f"only the {kinds} objective has {name}",
                    expected=f"objective {kinds}",
                    got=f"objective {self.kind!r}",
                    cure=f"leave {name} out",
                )
        if self.next_sentence and self.separate_documents:
            raise DesignError(
                "separate_documents beside next_sentence changes nothing: a pair never crosses the end of a document",
                expected="one of them",
                got="both",
                cure="leave one of them out",
            )

    def _options_set(self) -> list[str]:
        """Names of the options that are not at their default."""
        return [name for name in KINDS_WITH if getattr(self, name) != getattr(Objective, name)]

    @property
    def is_causal(self) -> bool:
        """Whether each token is predicted from those before it."""
        return self.kind == "causal"

    @property
    def is_masked(self) -> bool:
        """Whether hidden tokens are predicted in their place, from all others."""
        return self.kind == "masked"

    @property
    def corrupts_spans(self) -> bool:
        """Whether sentinels stand for the hidden spans, which are the target."""
        return self.kind == "span_corruption"

    @property
    def hides(self) -> bool:
        """Whether parts of the text are hidden."""
        return self.kind in MEAN_SPAN

    @property
    def span(self) -> float:
        """Mean length of what is hidden at once."""
        return self.mean_span_length or MEAN_SPAN.get(self.kind, 0.0)

    def check(self, shape: ModelShape) -> None:
        """Raise DesignError when a network of this shape cannot be trained so."""
        families = FAMILIES_OF[self.kind]
        if shape.family not in families:
            raise DesignError(
                f"the {self.kind} objective cannot train a model of this family",
                expected=f"a model of family {' or '.join(families)}",
                got=f"family {shape.family!r}",
                cure=f"take an objective of {shape.family}: {', '.join(objectives_of(shape.family)) or 'none'}",
            )
        if self.separate_documents and shape.family == "encoder_decoder":
            raise DesignError(
                "documents are kept apart in models of one stack only",
                expected="a model of one stack",
                got=f"family {shape.family!r}",
                cure="leave separate_documents out",
            )
        if self.next_sentence and (shape.classes != 2 or shape.token_types < 2):
            raise DesignError(
                "next_sentence needs a head of two classes and two kinds of segments",
                expected="classes 2, token_types 2",
                got=f"classes {shape.classes}, token_types {shape.token_types}",
                cure="set both, or leave next_sentence out",
            )
        if self.hides:
            self._check_hidden(shape)

    def _check_hidden(self, shape: ModelShape) -> None:
        text, _, spans = self.hidden(shape)
        wanted = round(self.corruption_rate * text)
        if not 1 <= wanted < text or round(wanted / self.span) < 1:
            raise DesignError(
                "the context cannot hide such a part of it",
                expected="at least one whole span hidden, and at least one token shown",
                got=f"{text} tokens of text in a context of {shape.context}, corruption_rate"
                f" {self.corruption_rate:g}, mean span {self.span:g}",
                cure="take a longer context, another corruption_rate, or a shorter mean_span_length",
            )
        if self.corrupts_spans and spans + 1 > shape.vocabulary:
            raise DesignError(
                "more sentinels than the vocabulary holds",
                expected=f"at most {shape.vocabulary - 1} spans",
                got=f"{spans} spans in a text of {text} tokens",
                cure="raise mean_span_length, or shorten the context",
            )
        if self.corrupts_spans and shape.family == "encoder_decoder":
            wanted = self.target_length(shape.context)
            if (shape.decoder_context or shape.context) < wanted:
                raise DesignError(
                    "the decoder's context is shorter than the spans it has to give",
                    expected=f"decoder_context {wanted}",
                    got=str(shape.decoder_context),
                    cure=f"set decoder_context to {wanted}, or shorten the context",
                )

    def window(self, shape: ModelShape) -> Window:
        """The text that one sequence reads."""
        if self.is_masked:
            text = shape.context - (3 if self.next_sentence else 2)
            return Window(text, text)
        if self.corrupts_spans:
            text, _, _ = self.hidden(shape)
            return Window(text, text)
        if shape.family == "encoder_decoder":
            return Window(shape.sequence_tokens, shape.sequence_tokens)
        return Window(shape.context + 1, shape.context)

    def hidden(self, shape: ModelShape) -> tuple[int, int, int]:
        """Tokens of text, of them hidden, and spans that these are, in one sequence."""
        if self.is_masked:
            text = self.window(shape).length
            return text, *self._noise(text)
        if not self.corrupts_spans:
            return self.window(shape).length, 0, 0
        return self._corrupted(shape.context, shape.family)

    def target_length(self, context: int) -> int:
        """Tokens of a decoder's sequence: hidden ones, a sentinel before each span, and a last one."""
        _, hidden, spans = self._corrupted(context, "encoder_decoder")
        return hidden + spans + 1

    def specials(self, shape: ModelShape) -> tuple[str, ...]:
        """Special tokens that its sequences need."""
        if self.is_masked:
            return (PAD, CLS, SEP, MASK)
        start = (PAD,) if shape.family == "encoder_decoder" else ()
        if not self.corrupts_spans:
            return start
        return (*start, *(f"<extra_id_{number}>" for number in range(self.hidden(shape)[2] + 1)))

    def predicted(self, shape: ModelShape) -> float:
        """Share of a sequence's positions (of the target, where there are two stacks) that predict; the head reads
        no others.
        """
        text, hidden, spans = self.hidden(shape)
        if self.is_masked:
            return self.corruption_rate * text / shape.context
        if shape.family != "prefix" or self.is_causal:
            return 1.0
        if not self.hides:  # prefix: a beginning of any length from 1 token to all but one is seen
            return 0.5 + 1 / shape.context
        return (hidden + spans + 1) / self._length(text, "prefix")

    def _corrupted(self, context: int, family: str) -> tuple[int, int, int]:
        """The longest text whose corrupted sequence fits the context: its tokens, hidden ones, and spans."""
        texts = range(2 * context, 1, -1)
        longest = next((text for text in texts if self._length(text, family) <= context), 2)
        return longest, *self._noise(longest)

    def _noise(self, text: int) -> tuple[int, int]:
        hidden = min(max(1, round(self.corruption_rate * text)), text - 1)
        spans = min(max(1, round(hidden / self.span)), hidden, text - hidden)
        return hidden, spans

    def _length(self, text: int, family: str) -> int:
        """Tokens of the sequence that so much text gives: the source; with one stack also the target."""
        hidden, spans = self._noise(text)
        source = text - hidden + spans
        return source + hidden + spans if family == "prefix" else source


def objectives_of(family: str) -> list[str]:
    """The objectives that can train a family.

    >>> objectives_of("prefix")
    ['causal', 'prefix', 'span_corruption']
    """
    return [kind for kind, families in FAMILIES_OF.items() if family in families]


def objective_kind(name: str) -> ObjectiveKind:
    """The kind of this name; DesignError, with the nearest known name, when there is none.

    >>> objective_kind("masked")
    'masked'
    """
    for kind in FAMILIES_OF:
        if kind == name:
            return kind
    near = nearest(str(name), FAMILIES_OF)
    cure = f"did you mean {near[0]!r}?" if near else "name one of these"
    raise DesignError("unknown objective", expected=", ".join(FAMILIES_OF), got=repr(name), cure=cure)


CAUSAL = Objective()
"""Next-token prediction, what a run learns unless it is said otherwise."""
