"""What a network learns to predict, and what that asks of its shape and of the text. No torch here.

`causal`           each token from those before it (decoder, prefix, lstm)
`prefix`           the rest of a text from its beginning, which is seen both ways (prefix, encoder_decoder)
`masked`           tokens that were hidden, from all others (encoder); with `next_sentence`, also which text goes on
`span_corruption`  the spans that sentinels stand for (encoder_decoder, prefix)
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from foretoken.compute.shape import ModelShape
from foretoken.errors import DesignError

PAD, CLS, SEP, MASK = "[PAD]", "[CLS]", "[SEP]", "[MASK]"
"""Special tokens. A decoder behind an encoder starts with PAD, as T5's does."""
FAMILIES_OF = {
    "causal": ("decoder", "prefix", "lstm"),
    "prefix": ("prefix", "encoder_decoder"),
    "masked": ("encoder",),
    "span_corruption": ("encoder_decoder", "prefix"),
}
"""The families that each objective can train."""
MEAN_SPAN = {"masked": 1.0, "span_corruption": 3.0}
KINDS_WITH = {
    "share": ("masked", "span_corruption"),
    "mean_span": ("masked", "span_corruption"),
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
class Options:
    """Choices of an objective."""

    share: float = 0.15
    """masked, span_corruption: share of the text that is hidden."""
    mean_span: float = 0.0
    """masked, span_corruption: mean length of what is hidden at once, in tokens; 0 means 1 and 3."""
    next_sentence: bool = False
    """masked: whether the first state also tells if the second half of the text goes on from the first."""
    separate_documents: bool = False
    """Whether documents that share a sequence do not see each other (one stack only)."""

    def given(self) -> dict[str, Any]:
        """The options that are not at their default."""
        return {name: value for name, value in asdict(self).items() if value != getattr(Options, name, value)}


@dataclass(frozen=True, kw_only=True)
class Objective(Options):
    """What a network learns to predict.

    Raises DesignError for an unknown kind, and for options that the kind does not have.
    """

    kind: str = "causal"

    def __post_init__(self) -> None:
        if self.kind not in FAMILIES_OF:
            raise DesignError(
                "unknown objective", expected=", ".join(FAMILIES_OF), got=repr(self.kind), cure="name one of these"
            )
        if not 0 < self.share < 1:
            raise DesignError(
                "an objective hides a share of the text",
                expected="between 0 and 1",
                got=f"{self.share}",
                cure=f"leave share out for {Options.share:g}",
            )
        if self.mean_span and not 1 <= self.mean_span < math.inf:
            raise DesignError(
                "the mean span of an objective is at least 1 token",
                expected="a finite number, 1 or more; or 0 for the objective's own",
                got=f"{self.mean_span}",
                cure="leave mean_span out",
            )
        for name in self.given():
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

    @property
    def hides(self) -> bool:
        """Whether parts of the text are hidden."""
        return self.kind in MEAN_SPAN

    @property
    def span(self) -> float:
        """Mean length of what is hidden at once."""
        return self.mean_span or MEAN_SPAN.get(self.kind, 0.0)

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
        wanted = round(self.share * text)
        if not 1 <= wanted < text or round(wanted / self.span) < 1:
            raise DesignError(
                "the context cannot hide such a part of it",
                expected="at least one whole span hidden, and at least one token shown",
                got=f"{text} tokens of text in a context of {shape.context}, share {self.share:g}, mean span"
                f" {self.span:g}",
                cure="take a longer context, another share, or a shorter mean_span",
            )
        if self.kind == "span_corruption" and spans + 1 > shape.vocabulary:
            raise DesignError(
                "more sentinels than the vocabulary holds",
                expected=f"at most {shape.vocabulary - 1} spans",
                got=f"{spans} spans in a text of {text} tokens",
                cure="raise mean_span, or shorten the context",
            )
        if self.kind == "span_corruption" and shape.family == "encoder_decoder":
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
        if self.kind == "masked":
            text = shape.context - (3 if self.next_sentence else 2)
            return Window(text, text)
        if self.kind == "span_corruption":
            text, _, _ = self.hidden(shape)
            return Window(text, text)
        if shape.family == "encoder_decoder":
            return Window(shape.sequence_tokens, shape.sequence_tokens)
        return Window(shape.context + 1, shape.context)

    def hidden(self, shape: ModelShape) -> tuple[int, int, int]:
        """Tokens of text, of them hidden, and spans that these are, in one sequence."""
        if self.kind == "masked":
            text = self.window(shape).length
            return text, *self._noise(text)
        if self.kind != "span_corruption":
            return self.window(shape).length, 0, 0
        return self._corrupted(shape.context, shape.family)

    def target_length(self, context: int) -> int:
        """Tokens of a decoder's sequence: hidden ones, a sentinel before each span, and a last one."""
        _, hidden, spans = self._corrupted(context, "encoder_decoder")
        return hidden + spans + 1

    def specials(self, shape: ModelShape) -> tuple[str, ...]:
        """Special tokens that its sequences need."""
        if self.kind == "masked":
            return (PAD, CLS, SEP, MASK)
        start = (PAD,) if shape.family == "encoder_decoder" else ()
        if self.kind != "span_corruption":
            return start
        return (*start, *(f"<extra_id_{number}>" for number in range(self.hidden(shape)[2] + 1)))

    def predicted(self, shape: ModelShape) -> float:
        """Share of a sequence's positions (of the target, where there are two stacks) that predict; the head reads
        no others.
        """
        text, hidden, spans = self.hidden(shape)
        if self.kind == "masked":
            return self.share * text / shape.context
        if shape.family != "prefix" or self.kind == "causal":
            return 1.0
        if self.kind == "prefix":  # a beginning of any length from 1 token to all but one is seen
            return 0.5 + 1 / shape.context
        return (hidden + spans + 1) / self._length(text, "prefix")

    def _corrupted(self, context: int, family: str) -> tuple[int, int, int]:
        """The longest text whose corrupted sequence fits the context: its tokens, hidden ones, and spans."""
        texts = range(2 * context, 1, -1)
        longest = next((text for text in texts if self._length(text, family) <= context), 2)
        return longest, *self._noise(longest)

    def _noise(self, text: int) -> tuple[int, int]:
        hidden = min(max(1, round(self.share * text)), text - 1)
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
