"""Tasks in a switching language, whose ceilings are known: the score of Bayes' rule with all probabilities at hand.

The ceiling of a task is the mean, over fresh examples, of the probability of the answer that is likeliest given the
texts: no classifier does better on average. Where labels are noisy (a share of them is replaced by another class), a
right guess is right in the other cases alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from foretoken.evals.tasks import (
    CHOICE,
    LABELS,
    PAIR,
    SIMILARITY,
    SINGLE,
    TEXT_TO_TEXT,
    Example,
    Task,
    TaskKind,
    check_kind,
)
from switching_language import Floats, Integers, SwitchingLanguage

TEXT, SHORT, CHOICES, NOISE = 16, 10, 4, 0.1
"""Tokens of a text and of each of two; choices; share of labels that are replaced."""
CEILING_EXAMPLES = 4000


@dataclass(frozen=True)
class Drawn:
    """Examples, and the probability of the likeliest answer to each, [B]."""

    examples: list[Example]
    best: Floats


def generated_task(
    kind: str, language: SwitchingLanguage, *, train: int = 64, validation: int = 64, test: int = 1000, seed: int = 0
) -> Task:
    """A task of so many examples in a language, with its ceiling; each seed draws other examples.

    Text-to-text examples hide two tokens, written as the number behind the last symbol. Raises TaskError for an unknown
    kind.

    >>> from switching_language import switching_language
    >>> task = generated_task("single", switching_language(symbols=8), train=32, validation=8, test=8)
    >>> task.classes, len(task.train), 0.25 < task.ceiling <= 0.9
    (('0', '1', '2', '3'), 32, True)
    """
    known_kind = check_kind(kind)
    draw, names, how = GENERATORS[known_kind]
    drawn = draw(language, train + validation + test, np.random.default_rng([seed, 0])).examples
    ceiling = draw(language, CEILING_EXAMPLES, np.random.default_rng(0)).best.mean()
    return Task(
        name=kind,
        kind=known_kind,
        classes=names(language),
        train=tuple(drawn[:train]),
        validation=tuple(drawn[train : train + validation]),
        test=tuple(drawn[train + validation :]),
        ceiling=float(ceiling),
        ceiling_from=how,
    )


def _single(language: SwitchingLanguage, number: int, rng: np.random.Generator) -> Drawn:
    text, spoken = replace(language, stay=1.0).sample(number, TEXT, rng)
    known = _languages_of(language, text)
    return _noisy([(row,) for row in _rows(text)], spoken[:, 0], known, rng)


def _pair(language: SwitchingLanguage, number: int, rng: np.random.Generator) -> Drawn:
    """Two texts of one language (class 1), or of two."""
    alone = replace(language, stay=1.0)
    texts, spoken = alone.sample(4 * number, SHORT, rng)
    same = rng.integers(2, size=number)
    first, others = np.arange(number), np.arange(number, 4 * number)
    second = np.array([_mate(others, spoken[:, 0], spoken[one, 0], same[one], rng) for one in first])
    one, two = _languages_of(language, texts[first]), _languages_of(language, texts[second])
    agree = (one * two).sum(1) / language.languages
    differ = (1 - (one * two).sum(1)) / (language.languages * (language.languages - 1))
    known = np.stack([differ, agree], axis=1) / (agree + differ)[:, None]
    return _noisy(list(zip(_rows(texts[first]), _rows(texts[second]), strict=True)), same, known, rng)


def _mate(others: Integers, spoken: Integers, mine: int, same: int, rng: np.random.Generator) -> int:
    return int(rng.choice(others[(spoken[others] == mine) == bool(same)]))


def _choice(language: SwitchingLanguage, number: int, rng: np.random.Generator) -> Drawn:
    """A text, and what goes on from it among texts that begin anew."""
    alone = replace(language, stay=1.0)
    whole, _ = alone.sample(number, 2 * SHORT, rng)
    answer = rng.integers(CHOICES, size=number)
    choices = alone.sample(number * CHOICES, SHORT, rng)[0].reshape(number, CHOICES, SHORT)
    choices[np.arange(number), answer] = whole[:, SHORT:]
    stem = whole[:, :SHORT]
    gain = np.stack(
        [
            alone.forward(np.concatenate([stem, choices[:, one]], axis=1))[1] - alone.forward(choices[:, one])[1]
            for one in range(CHOICES)
        ],
        axis=1,
    )
    known = np.exp(gain - gain.max(1, keepdims=True))
    texts = [(row, *_rows(few)) for row, few in zip(_rows(stem), choices, strict=True)]
    examples = [Example(one, (int(label),)) for one, label in zip(texts, answer, strict=True)]
    return Drawn(examples, known.max(1) / known.sum(1))


def _labels(language: SwitchingLanguage, number: int, rng: np.random.Generator) -> Drawn:
    text, spoken = language.sample(number, 2 * TEXT, rng)
    examples = [Example((row,), tags) for row, tags in zip(_rows(text), _rows(spoken), strict=True)]
    return Drawn(examples, language.posterior(text).max(2).mean(1))


def _text_to_text(language: SwitchingLanguage, number: int, rng: np.random.Generator) -> Drawn:
    """Two neighbours are hidden; the target tells them."""
    text, _ = replace(language, stay=1.0).sample(number, TEXT, rng)
    place, best, examples = rng.integers(1, TEXT - 2, size=number), np.empty(number), []
    for first in range(1, TEXT - 2):
        rows = np.flatnonzero(place == first)
        best[rows] = replace(language, stay=1.0).two_hidden(text[rows], first).max((1, 2))
    for row, first in zip(_rows(text), place, strict=True):
        source = (*row[:first], language.symbols, *row[first + 2 :])
        examples.append(Example((source, row[first : first + 2])))
    return Drawn(examples, best)


def _languages_of(language: SwitchingLanguage, text_BT: Integers) -> Floats:
    """Probability of each language, of texts that are all of one, [B, G]."""
    states: Floats = replace(language, stay=1.0).forward(text_BT)[0][:, -1].sum(2)
    return states


def _noisy(texts: Sequence[Any], label: Integers, known: Floats, rng: np.random.Generator) -> Drawn:
    classes = known.shape[1]
    other = rng.integers(1, classes, size=len(label)) * (rng.random(len(label)) < NOISE)
    noisy = (label + other) % classes
    # A right class stays with probability 1 - NOISE; each other one becomes it with NOISE / (classes - 1).
    posterior = (1 - NOISE) * known + NOISE / (classes - 1) * (1 - known)
    return Drawn([Example(text, (int(name),)) for text, name in zip(texts, noisy, strict=True)], posterior.max(1))


def _rows(tokens: Integers) -> list[tuple[int, ...]]:
    return [tuple(row) for row in tokens.tolist()]


def _by_language(language: SwitchingLanguage) -> tuple[str, ...]:
    return tuple(str(number) for number in range(language.languages))


Draw = Callable[[SwitchingLanguage, int, np.random.Generator], Drawn]
Names = Callable[[SwitchingLanguage], tuple[str, ...]]
GENERATORS: dict[TaskKind, tuple[Draw, Names, str]] = {
    SINGLE: (_single, _by_language, "which language a text is of; a tenth of the labels is wrong"),
    PAIR: (_pair, lambda _: ("two", "one"), "whether two texts are of one language; a tenth of the labels is wrong"),
    SIMILARITY: (_pair, lambda _: ("two", "one"), "as pair"),
    CHOICE: (_choice, lambda _: tuple("0123"), "which of four texts goes on from another"),
    LABELS: (_labels, _by_language, "the language of each token, from the whole text"),
    TEXT_TO_TEXT: (_text_to_text, lambda _: (), "two hidden tokens from those around them"),
}
"""How each kind is drawn, its classes, and what there is to be known, in words."""
