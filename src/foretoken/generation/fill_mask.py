"""Filling masks: the tokens that an encoder expects at each [MASK] of a text."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from foretoken.arguments import named_arguments
from foretoken.compute.objective import MASK
from foretoken.data.specials import OTHER_SPELLINGS
from foretoken.errors import CorpusError, ForetokenError
from foretoken.generation.load import ModelSource, open_model
from foretoken.generation.model import Model, finite_logits
from foretoken.generation.sampler import mask_logits
from foretoken.results import Result


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A token that may stand at a mask."""

    text: str
    token: int
    probability: float
    """Of all tokens of the network, special ones included."""


@dataclass(frozen=True, kw_only=True)
class MaskedText(Result):
    """A text with masks, and the candidates of each."""

    model: str
    prompt: str
    text: str
    """With the first candidate at every mask; each was predicted while the others were hidden."""
    masks: list[list[Candidate]]
    """For each mask, the most probable tokens, the best first."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@named_arguments
@torch.no_grad()
def fill_mask(source: ModelSource, text: str, *, top: int = 5, run: str | None = None) -> MaskedText:
    """The most probable tokens at each [MASK] of a text, as an encoder sees it.

    <mask> stands for [MASK] too, and so does the tokenizer's own name of it. Where tokens hold the space before their
    word, the space before a mask belongs to the mask.

    Args:
        source: a study with kept weights, or a folder of safetensors.
        text: with one or more [MASK] in it.
        top: candidates of each mask.
        run: of a study, the run whose key begins so, in place of its target.

    Raises DesignError for a model that is no encoder, CorpusError for a text without a mask, one that is longer than
    the context, or a tokenizer without [MASK].

    """
    model = open_model(source, run)
    model.check_head()
    mask = model.mask
    if top < 1:
        raise ForetokenError("top must be at least 1", got=str(top))
    spellings = dict.fromkeys((MASK, *OTHER_SPELLINGS[MASK]), mask)
    tokens = model.encode_with_specials(model.strip_spaces_before(text, list(spellings)), spellings)
    if mask not in tokens:
        raise CorpusError("the text has no mask", expected=f"{MASK} in it", got=repr(text[:100]))
    sequence = [*model.before, *tokens, *model.after]
    model.check_fits(len(sequence), model.network.shape.context, "the text")
    positions = [position for position, token in enumerate(tokens) if token == mask]
    logits_MV = _logits(model, sequence)[[len(model.before) + position for position in positions]]
    masks = [_candidates(model, logits_V, top) for logits_V in logits_MV]
    best = dict(zip(positions, (candidates[0].token for candidates in masks), strict=True))
    filled = model.decode([best.get(position, token) for position, token in enumerate(tokens)])
    return MaskedText(model=model.name, prompt=text, text=filled, masks=masks)


def _logits(model: Model, tokens: list[int]) -> Tensor:
    """Logits of the token at every position, [T, V]."""
    output = model.network(torch.tensor([tokens]))
    return finite_logits((output[0] if isinstance(output, tuple) else output)[0])


def _candidates(model: Model, logits_V: Tensor, top: int) -> list[Candidate]:
    probabilities = logits_V.softmax(-1)
    listed = min(top, int(model.text_tokens.sum()))
    best = mask_logits(logits_V, model.text_tokens).topk(listed).indices.tolist()
    return [
        Candidate(text=model.decode([token]), token=token, probability=float(probabilities[token])) for token in best
    ]
