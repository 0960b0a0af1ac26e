"""Masked LM: hidden tokens from all others, with next-sentence prediction or without (Devlin et al. 2018).

Of the hidden tokens 80 % become [MASK], 10 % another token, 10 % stay as they are. Which are hidden is drawn anew at
each visit (RoBERTa's dynamic masking); with a mean span above 1 they are contiguous (SpanBERT).
A sequence is [CLS] text [SEP], or [CLS] first [SEP] second [SEP].
"""

from __future__ import annotations

import numpy as np

from foretoken.compute.objective import CLS, MASK, PAD, SEP
from foretoken.objectives.examples import ExampleBuilder, Examples, Integers
from foretoken.objectives.spans import Mask, hidden_counts, random_spans, random_tokens

SHOWN_AS_MASK, SHOWN_AS_RANDOM = 0.8, 0.1
"""Shares of the hidden tokens (Devlin et al. 2018, section 3.1); the rest stays as it is."""


def masked(builder: ExampleBuilder, text_BL: Integers, rng: np.random.Generator) -> Examples:
    """The masked objective."""
    if builder.objective.next_sentence:
        tokens, segments, labels = _pairs(builder, text_BL, rng)
        inputs = {"tokens": tokens, "segments": segments}
    else:
        tokens, labels = _with_cls_and_sep(text_BL, builder), None
        inputs = {"tokens": tokens, **builder.documents(tokens)}
    padding_mask = tokens != builder.specials[PAD]
    if not padding_mask.all():
        inputs["padding_mask"] = padding_mask
    hidden = _hidden(builder, tokens, padding_mask, rng)
    inputs["tokens"] = corrupt_tokens(tokens, hidden, builder.specials[MASK], builder.text_vocabulary, rng)
    positions = np.flatnonzero(hidden)
    return Examples(inputs=inputs, targets=tokens.reshape(-1)[positions], positions=positions, labels=labels)


def corrupt_tokens(tokens: Integers, hidden: Mask, mask: int, vocabulary: int, rng: np.random.Generator) -> Integers:
    """The network's input: of the hidden tokens 80 % are [MASK], 10 % any token, 10 % as they are."""
    fate = rng.random(tokens.shape)
    shown = np.where(hidden & (fate < SHOWN_AS_MASK), mask, tokens)
    random = hidden & (fate >= SHOWN_AS_MASK) & (fate < SHOWN_AS_MASK + SHOWN_AS_RANDOM)
    return np.where(random, rng.integers(0, vocabulary, tokens.shape), shown)


def _with_cls_and_sep(text_BL: Integers, builder: ExampleBuilder) -> Integers:
    ids, column = builder.specials, np.ones((len(text_BL), 1), np.int64)
    return np.concatenate([ids[CLS] * column, text_BL, ids[SEP] * column], axis=1)


def _hidden(builder: ExampleBuilder, tokens: Integers, padding_mask: Mask, rng: np.random.Generator) -> Mask:
    ids, objective = builder.specials, builder.objective
    text = padding_mask & (tokens != ids[CLS]) & (tokens != ids[SEP])
    if objective.span <= 1:
        return random_tokens(text, objective.corruption_rate, rng)
    hidden = np.zeros(tokens.shape, dtype=bool)
    for row in range(len(tokens)):  # row by row, because pairs of segments differ in length
        positions = np.flatnonzero(text[row])
        number = int(hidden_counts(np.array([len(positions)]), objective.corruption_rate, rng)[0])
        # At most as many spans as shown tokens, so that one can stand between any two spans.
        spans = max(1, min(round(number / objective.span), len(positions) - number))
        hidden[row, positions] = random_spans(1, len(positions), number, spans, rng, ends=True)[0]
    return hidden


def _pairs(builder: ExampleBuilder, text_BL: Integers, rng: np.random.Generator) -> tuple[Integers, Integers, Integers]:
    """Tokens, segments and labels: half of the sequences keep their second part, half get that of another sequence.

    A pair never crosses the end of a document: of a text that does, its longest document is taken. The second part is
    as long as the shorter of the two that it could be, so that the length does not reveal the label.
    """
    halves = [np.array_split(_longest_document(row, builder.separator), 2) for row in text_BL]
    labels = rng.permutation(np.arange(len(text_BL)) % 2) if len(text_BL) > 1 else np.zeros(1, np.int64)
    # A shift by less than the batch gives every sequence the second part of another one, each used once.
    shift = int(rng.integers(1, max(2, len(text_BL))))
    ids, context = builder.specials, builder.shape.context
    tokens = np.full((len(text_BL), context), ids[PAD])
    segments = np.zeros_like(tokens)
    for row, (first, second) in enumerate(halves):
        other = halves[(row + shift) % len(halves)][1]
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
