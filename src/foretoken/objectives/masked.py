"""Masked LM: hidden tokens from all others, with next-sentence prediction or without (Devlin et al. 2018).

Of the hidden tokens 80 % become [MASK], 10 % another token, 10 % stay as they are. Which are hidden is drawn anew at
each visit (RoBERTa's dynamic masking); with a mean span above 1 they are contiguous (SpanBERT).
A sequence is [CLS] text [SEP], or [CLS] first [SEP] second [SEP].
"""

from __future__ import annotations

import numpy as np

from foretoken.compute.objective import CLS, MASK, PAD, SEP
from foretoken.objectives.examples import ExampleBuilder, Examples, Integers
from foretoken.objectives.spans import Mask, numbers, random_spans, random_tokens

SHOWN_AS_MASK, SHOWN_AS_RANDOM = 0.8, 0.1


def masked(builder: ExampleBuilder, text_BL: Integers, rng: np.random.Generator) -> Examples:
    """The masked objective."""
    if builder.objective.next_sentence:
        tokens, segments, labels = _pairs(builder, text_BL, rng)
        inputs = {"tokens": tokens, "segments": segments}
    else:
        tokens, labels = _framed(text_BL, builder), None
        inputs = {"tokens": tokens, **builder.documents(tokens)}
    padding_mask = tokens != builder.specials[PAD]
    if not padding_mask.all():
        inputs["padding_mask"] = padding_mask
    hidden = _hidden(builder, tokens, padding_mask, rng)
    inputs["tokens"] = corrupted(tokens, hidden, builder.specials[MASK], builder.text_vocabulary, rng)
    positions = np.flatnonzero(hidden)
    return Examples(inputs=inputs, targets=tokens.reshape(-1)[positions], positions=positions, labels=labels)


def corrupted(tokens: Integers, hidden: Mask, mask: int, vocabulary: int, rng: np.random.Generator) -> Integers:
    """What is shown: of the hidden tokens 80 % as [MASK], 10 % as any token, 10 % as they are."""
    fate = rng.random(tokens.shape)
    shown = np.where(hidden & (fate < SHOWN_AS_MASK), mask, tokens)
    random = hidden & (fate >= SHOWN_AS_MASK) & (fate < SHOWN_AS_MASK + SHOWN_AS_RANDOM)
    return np.where(random, rng.integers(0, vocabulary, tokens.shape), shown)


def _framed(text_BL: Integers, builder: ExampleBuilder) -> Integers:
    ids, column = builder.specials, np.ones((len(text_BL), 1), np.int64)
    return np.concatenate([ids[CLS] * column, text_BL, ids[SEP] * column], axis=1)


def _hidden(builder: ExampleBuilder, tokens: Integers, padding_mask: Mask, rng: np.random.Generator) -> Mask:
    ids, objective = builder.specials, builder.objective
    text = padding_mask & (tokens != ids[CLS]) & (tokens != ids[SEP])
    if objective.span <= 1:
        return random_tokens(text, objective.corruption_rate, rng)
    hidden = np.zeros(tokens.shape, dtype=bool)
    for row in range(len(tokens)):  # segments may differ in length
        positions = np.flatnonzero(text[row])
        number = int(numbers(np.array([len(positions)]), objective.corruption_rate, rng)[0])
        spans = max(1, min(round(number / objective.span), len(positions) - number))
        hidden[row, positions] = random_spans(1, len(positions), number, spans, rng, ends=True)[0]
    return hidden


def _pairs(builder: ExampleBuilder, text_BL: Integers, rng: np.random.Generator) -> tuple[Integers, Integers, Integers]:
    """Tokens, segments and labels: half of the sequences go on, half get the second part of another sequence.

    A pair never crosses the end of a document: of a text that does, its longest document is taken. The second part is
    as long as the shorter of the two that it could be, so that lengths do not tell the label.
    """
    parts = [_longest_document(row, builder.separator) for row in text_BL]
    halves = [np.array_split(part, 2) for part in parts]
    labels = rng.permutation(np.arange(len(text_BL)) % 2) if len(text_BL) > 1 else np.zeros(1, np.int64)
    away = int(rng.integers(1, max(2, len(text_BL))))
    ids, context = builder.specials, builder.shape.context
    tokens = np.full((len(text_BL), context), ids[PAD])
    segments = np.zeros_like(tokens)
    for row, (first, second) in enumerate(halves):
        other = halves[(row + away) % len(halves)][1]
        shown = (other if labels[row] else second)[: min(len(other), len(second))]
        pair = np.concatenate([[ids[CLS]], first, [ids[SEP]], shown, [ids[SEP]]])[:context]
        tokens[row, : len(pair)] = pair
        segments[row, len(first) + 2 : len(pair)] = 1
    return tokens, segments, labels.astype(np.int64)


def _longest_document(text: Integers, separator: int | None) -> Integers:
    if separator is None or separator not in text:
        return text
    parts = np.split(text, np.flatnonzero(text == separator))
    longest = max(([token for token in part if token != separator] for part in parts), key=len)
    return np.array(longest if len(longest) > 1 else text[:2])
