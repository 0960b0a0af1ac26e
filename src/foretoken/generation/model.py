"""A trained network with everything needed to read and write text: tokenizer, objective, special tokens."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from foretoken.compute.families import Family
from foretoken.compute.objective import MASK, Objective
from foretoken.data.specials import OTHER_SPELLINGS
from foretoken.data.subword import SubwordTokenizer
from foretoken.data.tokenizer import SymbolTokenizer, Tokenizer
from foretoken.errors import CheckpointError, CorpusError, DesignError
from foretoken.models import Encoder, Network

LEADING_SPACES = ("Ġ", "▁")
"""How tokenizers write the space before a word when it is part of the word's token."""


SENTINEL = re.compile(r"<extra_id_(\d{1,4})>")
"""T5's names of the tokens that stand for hidden spans."""


def sentinel_number(name: str) -> int:
    """The number in a sentinel's name.

    >>> sentinel_number("<extra_id_12>")
    12
    """
    match = SENTINEL.fullmatch(name)
    assert match is not None
    return int(match[1])


@dataclass(frozen=True, kw_only=True)
class Model:
    """A network that reads and writes text."""

    name: str
    """Where it came from, for messages: a run's key or a folder."""
    network: Network
    tokenizer: Tokenizer
    objective: Objective
    """What it was trained to predict; of somebody else's weights, what their family is trained to predict."""
    specials: Mapping[str, int]
    """Ids of special tokens, by the names of `Objective.specials`."""
    folder: Path | None = None
    """Where its weights are."""
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    """Tokens that stand around a text."""

    headless: bool = False
    """Whether the weights came without the layers that make an encoder's predictions."""

    def check_head(self) -> None:
        """Raise CheckpointError for an encoder that cannot predict hidden tokens."""
        if self.headless:
            raise CheckpointError(
                "the weights are of a bare encoder, without the head that predicts hidden tokens",
                expected="BertForMaskedLM or BertForPreTraining",
                got=self.name,
                cure="take weights with a head; `foretoken finetune` needs none",
            )

    @property
    def family(self) -> Family:
        """The network's family."""
        return self.network.shape.family_record

    @property
    def separator(self) -> int | None:
        """The token that ends a text."""
        return self.tokenizer.separator

    @cached_property
    def tokens_hold_spaces(self) -> bool:
        """Whether a token may hold the space before its word; a hidden token then hides that space too."""
        if not isinstance(self.tokenizer, SubwordTokenizer):
            return False
        return any(name[0] in LEADING_SPACES for name in self.tokenizer.ids if len(name) > 1)

    @cached_property
    def writable(self) -> Tensor:
        """[V] whether a token can be written: a network may have more rows than there are tokens."""
        with torch.inference_mode(False):  # kept, and so for whatever is done later
            writable_V = torch.zeros(self.network.shape.vocabulary, dtype=torch.bool)
        writable_V[: self.tokenizer.vocabulary] = True
        return writable_V

    @cached_property
    def text_tokens(self) -> Tensor:
        """[V] whether a token is text, and neither special nor unknown to the tokenizer."""
        text_V = self.writable.clone()
        ids = [*self.specials.values(), *self.tokenizer.specials.values()]
        text_V[[token for token in ids if token < len(text_V)]] = False
        return text_V

    @property
    def mask(self) -> int:
        """The token that hides another. Raises DesignError for a model that fills no masks, CorpusError without one."""
        if not isinstance(self.network, Encoder):
            spans = ", or foretoken infill" if "span_corruption" in self.family.objectives else ""
            raise DesignError(
                "only an encoder fills masks: this model does not see the text after a token",
                expected="a model that was trained with the masked objective",
                got=f"{self.name}, family {self.family.name}",
                cure=f"foretoken sample{spans}",
            )
        if MASK not in self.specials:
            raise CorpusError(
                f"the tokenizer has no {MASK}",
                expected=f"{MASK} or {', '.join(OTHER_SPELLINGS[MASK])} among its special tokens",
                got=", ".join(list(self.tokenizer.specials)[:8]) or "none",
                cure="give the tokenizer.json that the model was trained with",
            )
        return self.specials[MASK]

    @property
    def sentinels(self) -> list[int]:
        """The tokens that stand for hidden spans, in order; none without span corruption."""
        names = sorted((name for name in self.specials if SENTINEL.fullmatch(name)), key=sentinel_number)
        return [self.specials[name] for name in names]

    def encode(self, text: str) -> list[int]:
        """The tokens of a text. Raises CorpusError for what the tokenizer cannot take."""
        if isinstance(self.tokenizer, SymbolTokenizer):
            return self._symbols(text)
        (tokens,) = self.tokenizer.encode([text.encode()]) if text else [np.zeros(0, np.int64)]
        return [int(token) for token in tokens]

    def _symbols(self, text: str) -> list[int]:
        words = text.split()
        if not all(re.fullmatch(r"\d{1,9}", word) and int(word) < self.tokenizer.vocabulary for word in words):
            raise CorpusError(
                "this model was trained on a synthetic language, which has symbols and no text",
                expected=f"numbers below {self.tokenizer.vocabulary}, separated by spaces",
                got=repr(text[:100]),
                cure="give numbers, or a model that was trained on text",
            )
        return [int(word) for word in words]

    def encode_with_specials(self, text: str, specials: Mapping[str, int]) -> list[int]:
        """The tokens of a text in which names stand for special tokens.

        `specials` gives the token of each name.
        """
        # The longest name first, so that no name is taken for the beginning of another.
        names = "|".join(map(re.escape, sorted(specials, key=len, reverse=True)))
        tokens: list[int] = []
        for part in re.split(f"({names})", text):
            if part in specials:
                tokens.append(specials[part])
            else:
                tokens += self.encode(part)
        return tokens

    def strip_spaces_before(self, text: str, names: Sequence[str]) -> str:
        """The text without the space before each of the names, if tokens hold the space before their word."""
        if not self.tokens_hold_spaces:
            return text
        return re.sub(rf" ({'|'.join(map(re.escape, names))})", r"\1", text)

    def decode(self, tokens: Sequence[int], context: Sequence[int] = ()) -> str:
        """The text of tokens that follow a context; special tokens by their names, broken characters as �."""
        joined = np.array([*context, *tokens], np.int64)
        before, whole = self._text(joined[: len(context)]), self._text(joined)
        # A character whose bytes are split between context and tokens changes the text before it.
        return whole[len(before) :] if whole.startswith(before) else self._text(joined[len(context) :])

    def _text(self, tokens: np.ndarray[tuple[int], np.dtype[np.int64]]) -> str:
        """Runs of text between tokens that the tokenizer does not have, which are written by their names."""
        names = {token: name for name, token in self.specials.items() if token >= self.tokenizer.vocabulary}
        foreign = [position for position, token in enumerate(tokens) if int(token) >= self.tokenizer.vocabulary]
        parts, start = [], 0
        for end in [*foreign, len(tokens)]:
            if end > start:
                parts.append(self._known_text(tokens[start:end]))
            if end < len(tokens):
                parts.append(names.get(int(tokens[end]), f"<{tokens[end]}>"))
            start = end + 1
        return "".join(parts)

    def _known_text(self, tokens: np.ndarray[tuple[int], np.dtype[np.int64]]) -> str:
        if isinstance(self.tokenizer, SymbolTokenizer):
            return "".join(f" {token}" for token in tokens)
        return self.tokenizer.decode(tokens).decode(errors="replace")

    def check_fits(self, tokens: int, context: int, what: str) -> None:
        """Raise CorpusError when this many tokens do not fit."""
        if tokens > context:
            raise CorpusError(
                f"{what} is longer than the model's context",
                expected=f"at most {context} tokens",
                got=f"{tokens} tokens",
                cure="shorten it",
            )


def finite_logits(logits: Tensor) -> Tensor:
    """The logits in float32. Raises CheckpointError when they are not finite."""
    logits = logits.float()
    if not bool(torch.isfinite(logits).all()):
        raise CheckpointError(
            "the network's outputs are not finite", cure="take another model: its weights are damaged"
        )
    return logits
