"""Filling masks: what an encoder expects behind each [MASK] of a text."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from foretoken.compute.objective import MASK
from foretoken.data.specials import OTHER_SPELLINGS
from foretoken.errors import CorpusError, DesignError, ForetokenError
from foretoken.generation.load import Source, open_model
from foretoken.generation.model import Model, checked
from foretoken.generation.sampler import barred
from foretoken.models import Encoder


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A token that may stand behind a mask."""

    text: str
    token: int
    probability: float
    """Of all tokens of the network, special ones included."""


@dataclass(frozen=True, kw_only=True)
class MaskedText:
    """A text with masks, and what may stand behind each."""

    model: str
    prompt: str
    text: str
    """With the first candidate of every mask; each was found with the others hidden."""
    masks: list[list[Candidate]]
    """For each mask, the most probable tokens, the best first."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@torch.no_grad()
def fill_mask(source: Source, text: str, *, top: int = 5, run: str | None = None) -> MaskedText:
    """The most probable tokens behind each [MASK] of a text, as an encoder sees it.

    `source` and `run` are those of `open_model`. <mask> is [MASK], and so is what the tokenizer itself calls it. The
    blank before a mask belongs to it, where tokens hold the blank before their word.
    Raises DesignError for a model that is no encoder, CorpusError for a text without a mask, one that is longer than
    the context, or a tokenizer without [MASK].
    """
    model = open_model(source, run)
    model.check_head()
    mask = _mask(model)
    if top < 1:
        raise ForetokenError("top must be at least 1", got=str(top))
    names = dict.fromkeys((MASK, *OTHER_SPELLINGS[MASK]), mask)
    tokens = model.encode_around(model.without_blanks(text, list(names)), names)
    if mask not in tokens:
        raise CorpusError("the text has no mask", expected=f"{MASK} in it", got=repr(text[:100]))
    whole = [*model.before, *tokens, *model.after]
    model.check_room(len(whole), model.network.shape.context, "the text")
    places = [place for place, token in enumerate(tokens) if token == mask]
    masks = [_candidates(model, row, top) for row in _logits(model, whole)[[len(model.before) + p for p in places]]]
    filled = dict(zip(places, (candidates[0].token for candidates in masks), strict=True))
    best = model.decode([filled.get(place, token) for place, token in enumerate(tokens)])
    return MaskedText(model=model.name, prompt=text, text=best, masks=masks)


def _mask(model: Model) -> int:
    """The mask's id, if the model is one that fills masks."""
    if not isinstance(model.network, Encoder):
        raise DesignError(
            "only an encoder fills masks: this model does not see what stands behind a token",
            expected="a model that was trained with the masked objective",
            got=f"{model.name}, family {model.family}",
            cure="foretoken sample" + ("" if model.family in ("decoder", "lstm") else ", or foretoken infill"),
        )
    if MASK not in model.specials:
        raise CorpusError(
            f"the tokenizer has no {MASK}",
            expected=f"{MASK} or {', '.join(OTHER_SPELLINGS[MASK])} among its special tokens",
            got=", ".join(list(model.tokenizer.specials)[:8]) or "none",
            cure="give the tokenizer.json that the model was trained with",
        )
    return model.specials[MASK]


def _logits(model: Model, tokens: list[int]) -> Tensor:
    """Logits of the token at every position, [T, V]."""
    out = model.network(torch.tensor([tokens]))
    return checked((out[0] if isinstance(out, tuple) else out)[0])


def _candidates(model: Model, logits_V: Tensor, top: int) -> list[Candidate]:
    probabilities = logits_V.softmax(-1)
    best = barred(logits_V, model.nameless).topk(min(top, int(model.nameless.sum()))).indices.tolist()
    return [
        Candidate(text=model.decode([token]), token=token, probability=float(probabilities[token])) for token in best
    ]
