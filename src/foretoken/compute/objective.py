"""What a network learns to predict, and what that asks of its shape and of the text. No torch here.

`causal`           each token from those before it (decoder, prefix, lstm)
`prefix`           the rest of a text from its beginning, which is seen in both directions (prefix, encoder_decoder)
`masked`           tokens that were hidden, from all others (encoder); with `next_sentence`, also whether a text goes on
`span_corruption`  the spans that sentinels stand for (encoder_decoder, prefix)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, NamedTuple

from annotated_types import Ge, Gt, Le, Lt

from foretoken.arguments import nearest
from foretoken.compute.choices import ObjectiveKind
from foretoken.compute.families import FAMILIES, Family
from foretoken.compute.shape import ModelShape
from foretoken.errors import DesignError

PAD, CLS, SEP, MASK = "[PAD]", "[CLS]", "[SEP]", "[MASK]"
"""Special tokens. A decoder beside an encoder starts with PAD, as T5's does."""
OPTIONS = ("corruption_rate", "mean_span_length", "next_sentence", "separate_documents")
"""The fields of an objective that only some kinds have."""


@dataclass(frozen=True, kw_only=True)
class ObjectiveRecord:
    """What sets one kind of objective apart."""

    options: tuple[str, ...] = ()
    """The options that have an effect on it."""
    mean_span: float = 0.0
    """Mean length of what is hidden at once unless the options say another, in tokens; 0 hides nothing."""
    has_source: bool = False
    """Whether a part of the text is read without being predicted, by an encoder or as a prefix."""
    masks: bool = False
    """Whether hidden tokens are replaced one by one, within a text between CLS and SEP (Devlin et al. 2018)."""
    sentinels: bool = False
    """Whether each hidden span is replaced by a sentinel, and its text is the target (Raffel et al. 2019)."""

    @property
    def predicts_all(self) -> bool:
        """Whether every token of the text is predicted, so that its loss is that of the text."""
        return not self.mean_span and not self.has_source


_SPANS = ("corruption_rate", "mean_span_length")
KINDS: dict[ObjectiveKind, ObjectiveRecord] = {
    "causal": ObjectiveRecord(options=("separate_documents",)),
    "prefix": ObjectiveRecord(options=("separate_documents",), has_source=True),
    "masked": ObjectiveRecord(
        options=(*_SPANS, "next_sentence", "separate_documents"),
        mean_span=1.0,  # single tokens, as BERT (arXiv 1810.04805)
        masks=True,
    ),
    "span_corruption": ObjectiveRecord(
        options=_SPANS,
        mean_span=3.0,  # T5 (arXiv 1910.10683, section 3.3.4)
        has_source=True,
        sentinels=True,
    ),
}
"""The objectives by name."""


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

    __pydantic_config__ = {"extra": "forbid", "allow_inf_nan": False}  # noqa: RUF012

    kind: ObjectiveKind = "causal"
    corruption_rate: Annotated[float, Gt(0.0), Lt(1.0)] = 0.15
    """masked, span_corruption: share of the text that is hidden."""
    mean_span_length: Annotated[float, Ge(0.0), Le(1000.0)] = 0.0
    """masked, span_corruption: mean length of a hidden span, in tokens; 0 means 1 and 3."""
    next_sentence: bool = False
    """masked: whether the first state also says if the second half of the text goes on from the first."""
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
            if name not in self.record.options:
                kinds = " or ".join(kind for kind, record in KINDS.items() if name in record.options)
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
        return [name for name in OPTIONS if getattr(self, name) != getattr(Objective, name)]

    @property
    def record(self) -> ObjectiveRecord:
        """What sets its kind apart."""
        return KINDS[self.kind]

    @property
    def is_causal(self) -> bool:
        """Whether each token is predicted from those before it."""
        return self.record.predicts_all

    @property
    def is_masked(self) -> bool:
        """Whether hidden tokens are predicted in their place, from all others."""
        return self.record.masks

    @property
    def corrupts_spans(self) -> bool:
        """Whether sentinels stand for the hidden spans, which are the target."""
        return self.record.sentinels

    @property
    def hides(self) -> bool:
        """Whether parts of the text are hidden."""
        return self.record.mean_span > 0

    @property
    def span(self) -> float:
        """Mean length of what is hidden at once; 0 where nothing is."""
        return self.mean_span_length or self.record.mean_span

    def shows_prefix(self, family: Family) -> bool:
        """Whether each sequence of such a network begins with a prefix that is seen in both directions."""
        return family.takes_prefix and self.record.has_source

    def check(self, shape: ModelShape) -> None:
        """Raise DesignError when a network of this shape cannot be trained with it."""
        family = shape.family_record
        if self.kind not in family.objectives:
            raise DesignError(
                f"the {self.kind} objective cannot train a model of this family",
                expected=f"a model of family {' or '.join(families_of(self.kind))}",
                got=f"family {shape.family!r}",
                cure=f"take an objective of {shape.family}: {', '.join(family.objectives) or 'none'}",
            )
        if self.separate_documents and family.two_stacks:
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
            if self.corrupts_spans:
                self._check_sentinels(shape)

    def _check_hidden(self, shape: ModelShape) -> None:
        text, _, _ = self.hidden(shape)
        hidden = round(self.corruption_rate * text)
        if not 1 <= hidden < text or round(hidden / self.span) < 1:
            raise DesignError(
                "the context cannot hide such a part of it",
                expected="at least one whole span hidden, and at least one token shown",
                got=f"{text} tokens of text in a context of {shape.context}, corruption_rate"
                f" {self.corruption_rate:g}, mean span {self.span:g}",
                cure="take a longer context, another corruption_rate, or a shorter mean_span_length",
            )

    def _check_sentinels(self, shape: ModelShape) -> None:
        text, _, spans = self.hidden(shape)
        if spans + 1 > shape.vocabulary:
            raise DesignError(
                "more sentinels than the vocabulary holds",
                expected=f"at most {shape.vocabulary - 1} spans",
                got=f"{spans} spans in a text of {text} tokens",
                cure="raise mean_span_length, or shorten the context",
            )
        target = self.target_length(shape.context) if shape.family_record.two_stacks else 0
        if shape.second_context < target:
            raise DesignError(
                "the decoder's context is shorter than the spans it has to give",
                expected=f"decoder_context {target}",
                got=str(shape.decoder_context),
                cure=f"set decoder_context to {target}, or shorten the context",
            )

    def window(self, shape: ModelShape) -> Window:
        """The text that one sequence reads."""
        if self.is_masked:  # CLS and SEP stand around the text, and with two halves a SEP between them
            text = shape.context - (3 if self.next_sentence else 2)
            return Window(text, text)
        if self.corrupts_spans:
            text, _, _ = self.hidden(shape)
            return Window(text, text)
        if shape.family_record.two_stacks:
            return Window(shape.sequence_tokens, shape.sequence_tokens)
        # the last token of a window is predicted but not read: the next window begins with it
        return Window(shape.context + 1, shape.context)

    def hidden(self, shape: ModelShape) -> tuple[int, int, int]:
        """Tokens of text, of them hidden, and spans that these are, in one sequence."""
        if self.corrupts_spans:
            return self._corrupted(shape.context, within=not shape.family_record.two_stacks)
        text = self.window(shape).length
        return (text, *self._noise(text)) if self.is_masked else (text, 0, 0)

    def target_length(self, context: int) -> int:
        """Tokens of a decoder's sequence: hidden ones, a sentinel before each span, and a last one."""
        _, hidden, spans = self._corrupted(context, within=False)
        return hidden + spans + 1

    def specials(self, shape: ModelShape) -> tuple[str, ...]:
        """Special tokens that its sequences need."""
        if self.is_masked:
            return (PAD, CLS, SEP, MASK)
        start = (PAD,) if shape.family_record.two_stacks else ()
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
        if not self.shows_prefix(shape.family_record):
            return 1.0
        if self.corrupts_spans:
            return (hidden + spans + 1) / self._length(text, within=True)
        # a prefix of 1 to T - 1 tokens, all lengths alike, leaves (T + 2) / 2 of T positions on average: its last one
        # predicts too
        return 0.5 + 1 / shape.context

    def _corrupted(self, context: int, *, within: bool) -> tuple[int, int, int]:
        """The longest text whose corrupted sequence fits the context: its tokens, hidden ones, and spans."""
        # hidden spans shrink to sentinels, so a text may be longer than its sequence; beyond twice is not tried
        texts = range(2 * context, 1, -1)
        longest = next((text for text in texts if self._length(text, within=within) <= context), 2)
        return longest, *self._noise(longest)

    def _noise(self, text: int) -> tuple[int, int]:
        # at least one token hidden and one shown; as many spans as gaps between them at most
        hidden = min(max(1, round(self.corruption_rate * text)), text - 1)
        spans = min(max(1, round(hidden / self.span)), hidden, text - hidden)
        return hidden, spans

    def _length(self, text: int, *, within: bool) -> int:
        """Tokens of the sequence that so much text gives: the source, and with `within` also the target after it."""
        hidden, spans = self._noise(text)
        source = text - hidden + spans
        return source + hidden + spans if within else source


def families_of(kind: str) -> list[str]:
    """The families that an objective can train.

    >>> families_of("causal")
    ['decoder', 'prefix', 'lstm']
    """
    return [name for name, family in FAMILIES.items() if kind in family.objectives]


def objective_kind(name: str) -> ObjectiveKind:
    """The kind of this name; DesignError, with the nearest known name, when there is none.

    >>> objective_kind("masked")
    'masked'
    """
    for kind in KINDS:
        if kind == name:
            return kind
    near = nearest(str(name), KINDS)
    cure = f"did you mean {near[0]!r}?" if near else "name one of these"
    raise DesignError("unknown objective", expected=", ".join(KINDS), got=repr(name), cure=cure)


CAUSAL = Objective()
"""Next-token prediction, what a run learns unless it is said otherwise."""
