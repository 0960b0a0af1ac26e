"""Texts with gaps as tokens: what stands in the gaps, and what around them.

Texts alternate: what stands before the first gap, what fills it, what stands between it and the next, ...
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from foretoken.errors import CorpusError, TaskError, shown
from foretoken.generation import Model

Tokens = tuple[int, ...]


def encode_pieces(model: Model, texts: Sequence[str]) -> list[Tokens]:
    """The tokens of texts that alternate, around gaps and in them; every gap has at least one.

    The space before a gap belongs to it where tokens hold the space before their word, else to what is seen. The
    tokens are those of the whole text, unless some stand across the border of a gap: then each text is encoded alone.

    Raises TaskError for what has no tokens and so fills no gap.
    """
    texts = list(texts)
    for at in range(1, len(texts), 2):
        if not texts[at].strip():
            continue
        both, filling = texts[at - 1] + texts[at], texts[at]
        cut = len(texts[at - 1].rstrip(" ")) if model.tokens_hold_spaces else len(both) - len(filling.lstrip(" "))
        texts[at - 1], texts[at] = both[:cut], both[cut:]
    wholes: list[list[int]] = [[], *(model.encode("".join(texts[: number + 1])) for number in range(len(texts)))]
    pieces = [tuple(longer[len(shorter) :]) for shorter, longer in pairwise(wholes)]
    begins = all(longer[: len(shorter)] == shorter for shorter, longer in pairwise(wholes))
    if not begins or not all(pieces[1::2]):
        pieces = [tuple(model.encode(text)) for text in texts]
    empty = next((text for text, piece in zip(texts[1::2], pieces[1::2], strict=True) if not piece), None)
    if empty is not None:
        raise TaskError(f"an answer has no tokens for {model.name}", expected="text", got=shown(empty))
    return pieces


def with_sentinels(model: Model, pieces: Sequence[Tokens]) -> tuple[Tokens, Tokens]:
    """The source, in which sentinels stand for the gaps, and the target that fills them (Raffel et al. 2019).

    Raises CorpusError for more gaps than the model has sentinels.
    """
    around, fillings, sentinels = pieces[::2], pieces[1::2], [(token,) for token in model.sentinels]
    if len(sentinels) <= len(fillings):
        raise CorpusError(
            f"the tokenizer of {model.name} has too few sentinels for the gaps of a question",
            expected=f"{len(fillings) + 1} or more",
            got=str(len(sentinels)),
            cure="leave out such questions, or give a model with more",
        )
    source = [token for gap, text in zip(sentinels, around[1:], strict=False) for token in (*gap, *text)]
    target = [token for gap, text in zip(sentinels, fillings, strict=False) for token in (*gap, *text)]
    return (*around[0], *source), (*target, *sentinels[len(fillings)])
