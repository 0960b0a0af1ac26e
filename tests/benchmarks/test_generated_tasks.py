"""What can be known of a switching language, against counting all cases; ceilings that Bayes' rule reaches."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest

from foretoken.errors import TaskError
from foretoken.evals.tasks import LABELS, SINGLE, TEXT_TO_TEXT

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
from generated_tasks import GENERATORS, generated_task
from switching_language import SwitchingLanguage, switching_language

TINY = switching_language(symbols=3, languages=2, stay=0.8, seed=3)


def joint(language: SwitchingLanguage, symbols: tuple[int, ...], spoken: tuple[int, ...]) -> float:
    """Probability of a text and of the language of each of its symbols."""
    probability = 1 / language.symbols / language.languages
    for now in range(1, len(symbols)):
        probability *= language.switches[spoken[now - 1], spoken[now]]
        probability *= language.follows[spoken[now], symbols[now - 1], symbols[now]]
    return probability


def test_posteriors_and_likelihoods_are_those_of_counting_all_cases() -> None:
    text = (0, 2, 1, 1)
    cases = {spoken: joint(TINY, text, spoken) for spoken in itertools.product(range(2), repeat=4)}
    total = sum(cases.values())
    known = [[sum(p for case, p in cases.items() if case[t] == g) / total for g in range(2)] for t in range(4)]
    np.testing.assert_allclose(TINY.posterior(np.array([text]))[0], known)
    assert TINY.forward(np.array([text]))[1][0] == pytest.approx(np.log(total))


def test_two_hidden_symbols_are_those_of_counting_all_cases() -> None:
    known = np.zeros((3, 3))
    for v, w in itertools.product(range(3), repeat=2):
        known[v, w] = sum(joint(TINY, (0, v, w, 1), spoken) for spoken in itertools.product(range(2), repeat=4))
    np.testing.assert_allclose(TINY.two_hidden(np.array([[0, 0, 0, 1]]), 1)[0], known / known.sum())


def test_texts_are_drawn_as_the_language_says() -> None:
    texts, spoken = TINY.sample(20_000, 3, np.random.default_rng(0))
    assert (spoken[:, 1:] == spoken[:, :-1]).mean() == pytest.approx(0.8, abs=0.01)
    for language, symbol in itertools.product(range(2), range(3)):
        rows = (spoken[:, 1] == language) & (texts[:, 0] == symbol)
        shares = np.bincount(texts[rows, 1], minlength=3) / rows.sum()
        np.testing.assert_allclose(shares, TINY.follows[language, symbol], atol=0.04)


@pytest.mark.parametrize("kind", list(GENERATORS))
def test_every_kind_has_a_ceiling_and_each_seed_its_examples(kind: str) -> None:
    one, again, other = (generated_task(kind, TINY, train=30, validation=4, test=6, seed=seed) for seed in (1, 1, 2))
    assert one == again
    assert one.train != other.train
    assert one.ceiling == other.ceiling
    assert 0.1 < one.ceiling < 1


def test_who_knows_the_languages_reaches_the_ceiling_and_no_more() -> None:
    language, number = switching_language(symbols=4, languages=3), 4000
    single = generated_task(SINGLE, language, train=30, validation=1, test=number, seed=5)
    text = np.array([one.texts[0] for one in single.test])
    states = SwitchingLanguage(language.follows, 1.0).forward(text)[0][:, -1].sum(2)
    right = states.argmax(1) == [one.labels[0] for one in single.test]
    assert right.mean() == pytest.approx(single.ceiling, abs=4 * 0.5 * np.sqrt(2 / number))
    tags = generated_task(LABELS, language, train=30, validation=1, test=number, seed=5)
    guess = language.posterior(np.array([one.texts[0] for one in tags.test])).argmax(2)
    share = (guess == np.array([one.labels for one in tags.test])).mean()
    assert share == pytest.approx(tags.ceiling, abs=0.01)


def test_hidden_tokens_are_those_of_the_target() -> None:
    for one in generated_task(TEXT_TO_TEXT, TINY, train=5, validation=1, test=1).train:
        source, target = one.texts
        assert (source.count(TINY.symbols), len(target)) == (1, 2)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(TaskError, match="no such kind"):
        generated_task("riddle", TINY)
