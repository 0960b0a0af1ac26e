"""A trained network with all that it takes to read and write text with it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from foretoken.compute.objective import Objective
from foretoken.data.subword import SubwordTokenizer
from foretoken.data.tokenizer import SymbolTokenizer, Tokenizer
from foretoken.errors import CheckpointError, CorpusError
from foretoken.models import Network

LEADING_BLANKS = ("Ġ", "▁")
"""How tokenizers write the blank before a word when it is part of the word's token."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """A network that reads and writes text."""

    name: str
    """Where it came from, for people: a run's key or a folder."""
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
    def family(self) -> str:
        """The network's family."""
        return self.network.shape.family

    @property
    def separator(self) -> int | None:
        """The token that ends a text."""
        return self.tokenizer.separator

    @cached_property
    def takes_blanks(self) -> bool:
        """Whether a token may hold the blank before its word; a hidden token then hides that blank too."""
        if not isinstance(self.tokenizer, SubwordTokenizer):
            return False
        return any(name[0] in LEADING_BLANKS for name in self.tokenizer.ids if len(name) > 1)

    @cached_property
    def written(self) -> Tensor:
        """[V] whether a token can be written: a network may have more rows than there are tokens."""
        known = torch.zeros(self.network.shape.vocabulary, dtype=torch.bool)
        known[: self.tokenizer.vocabulary] = True
        return known

    @cached_property
    def nameless(self) -> Tensor:
        """[V] whether a token is text, and neither special nor unknown to the tokenizer."""
        text = self.written.clone()
        ids = [*self.specials.values(), *self.tokenizer.specials.values()]
        text[[number for number in ids if number < len(text)]] = False
        return text

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
                expected=f"numbers below {self.tokenizer.vocabulary}, with blanks between",
                got=repr(text[:100]),
                cure="give numbers, or a model that was trained on text",
            )
        return [int(word) for word in words]

    def encode_around(self, text: str, marks: Mapping[str, int]) -> list[int]:
        """The tokens of a text in which names stand for special tokens.

        The blank before such a name belongs to what it stands for, where tokens hold their blanks.
        """
        names = "|".join(map(re.escape, sorted(marks, key=len, reverse=True)))
        tokens: list[int] = []
        for part in re.split(f"({names})", text):
            if part in marks:
                tokens.append(marks[part])
            else:
                tokens += self.encode(part)
        return tokens

    def without_blanks(self, text: str, names: Sequence[str]) -> str:
        """The text, without the blank before each of the names where tokens hold their blanks."""
        if not self.takes_blanks:
            return text
        return re.sub(rf" ({'|'.join(map(re.escape, names))})", r"\1", text)

    def decode(self, tokens: Sequence[int], behind: Sequence[int] = ()) -> str:
        """The text of tokens, as it stands behind others; special tokens by their names, broken characters as �."""
        ours = np.array([*behind, *tokens], np.int64)
        before, whole = self._text(ours[: len(behind)]), self._text(ours)
        return whole[len(before) :] if whole.startswith(before) else self._text(ours[len(behind) :])

    def _text(self, tokens: np.ndarray[tuple[int], np.dtype[np.int64]]) -> str:
        """Runs of text between tokens that the tokenizer does not have."""
        names = {number: name for name, number in self.specials.items() if number >= self.tokenizer.vocabulary}
        cuts = [place for place, token in enumerate(tokens) if int(token) >= self.tokenizer.vocabulary]
        told, start = [], 0
        for place in [*cuts, len(tokens)]:
            if place > start:
                told.append(self._plain(tokens[start:place]))
            if place < len(tokens):
                told.append(names.get(int(tokens[place]), f"<{tokens[place]}>"))
            start = place + 1
        return "".join(told)

    def _plain(self, tokens: np.ndarray[tuple[int], np.dtype[np.int64]]) -> str:
        if isinstance(self.tokenizer, SymbolTokenizer):
            return "".join(f" {token}" for token in tokens)
        return self.tokenizer.decode(tokens).decode(errors="replace")

    def check_room(self, tokens: int, room: int, what: str) -> None:
        """Raise CorpusError when so many tokens do not fit."""
        if tokens > room:
            raise CorpusError(
                f"{what} is longer than the model's context",
                expected=f"at most {room} tokens",
                got=f"{tokens} tokens",
                cure="shorten it",
            )


def checked(logits: Tensor) -> Tensor:
    """The logits in float32. Raises CheckpointError when they are no numbers."""
    logits = logits.float()
    if not bool(torch.isfinite(logits).all()):
        raise CheckpointError("the network's outputs are no finite numbers", cure="its weights are of no use")
    return logits
