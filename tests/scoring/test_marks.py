"""What one answer is worth by each metric, and what is compared with a training text: small cases by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from foretoken.scoring.answers import Answer
from foretoken.scoring.likelihood import Likelihood
from foretoken.scoring.marks import MARKS, Evidence, mean_over_questions, words_f1
from foretoken.scoring.overlap import overlapping, question_text
from foretoken.tasks import Question

GREEK = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi"
WORDS = GREEK.split()


def evidence(
    *logprobs: tuple[float, ...], texts: tuple[str, ...], alone: tuple[float, ...] = (), text: str = ""
) -> Evidence:
    """Of a question whose right answer is the first text."""
    return Evidence(
        question=Question(prompt="?", answer=texts[0], choices=texts), texts=texts,
        weighed=tuple(Likelihood(one, True) for one in logprobs),
        alone=tuple(Likelihood((one,), True) for one in alone),
        written=Answer(text, (), True),
    )  # fmt: skip


def test_each_metric_divides_by_its_own_length() -> None:
    # -3 by all tokens, -1.5 by token, -1 by byte; the other -2, -2, -1/3
    one = evidence((-1.0, -2.0), (-2.0,), texts=("abc", "äöü"))
    assert [MARKS[name](one) for name in ("accuracy", "accuracy_per_token", "accuracy_per_byte")] == [0, 1, 0]
    assert MARKS["answer_nll"](one) == 1.5
    assert MARKS["token_probability"](one) == pytest.approx(math.exp(-1.5))
    assert MARKS["answer_probability"](one) == pytest.approx(math.exp(-3))
    assert MARKS["choice_probability"](one) == pytest.approx(math.exp(-3) / (math.exp(-3) + math.exp(-2)))
    # six bytes and not three letters
    assert MARKS["accuracy_per_byte"](evidence((-2.0,), (-3.0,), texts=("abc", "äöü"))) == 0


def test_of_equal_scores_each_has_a_share() -> None:
    assert MARKS["accuracy"](evidence((-1.0,), (-1.0,), (-1.0,), (-2.0,), texts=tuple("abcd"))) == pytest.approx(1 / 3)
    assert MARKS["accuracy"](evidence((-2.0,), (-1.0,), (-1.0,), texts=tuple("abc"))) == 0


def test_what_a_choice_has_by_itself_is_taken_off() -> None:
    one = evidence((-2.0,), (-1.0,), texts=("a", "b"), alone=(-3.0, -1.0))
    assert (MARKS["accuracy"](one), MARKS["accuracy_unconditional"](one)) == (0, 1)


def test_blanks_around_an_answer_do_not_count() -> None:
    assert MARKS["exact_match"](evidence((-1.0,), (-1.0,), texts=(" a", "b"), text="a ")) == 1
    assert MARKS["exact_match"](evidence((-1.0,), (-1.0,), texts=(" a", "b"), text="A")) == 0


def test_words_are_compared_without_punctuation() -> None:
    assert words_f1("fox.", "the fox!") == 1
    assert words_f1("the", "fox") == 0


def test_answers_without_a_word_are_compared_as_they_stand() -> None:
    assert [words_f1(written, "a") for written in ("a", "the", "")] == [1, 0, 0]
    assert [words_f1(written, "]) }") for written in ("]) }", "])", "x")] == [1, pytest.approx(2 / 3), 0]


def test_the_error_is_below_neither_that_of_clusters_nor_of_seeds() -> None:
    # every question goes the other way under the other seed: their means are equal, and what both count is large
    mean = mean_over_questions(np.array([[1.0, 0.0, 1.0, 0.0, 1.0], [0.0, 1.0, 0.0, 1.0, 1.0]]), range(5))
    of_questions = np.array([0.5, 0.5, 0.5, 0.5, 1.0]).std(ddof=1) / math.sqrt(5)
    assert mean.se == pytest.approx(of_questions)


def test_runs_of_thirteen_words_are_looked_for() -> None:
    text = " ".join(WORDS)
    assert overlapping([text], [" ".join(WORDS[:13]).upper()]) == [True]
    assert overlapping([text], [" ".join(WORDS[:12])]) == [False]
    assert overlapping([text], [" ".join(WORDS[:13]), "all of another text " * 9]) == [True]
    assert overlapping([text], [" ".join(sorted(WORDS[:13]))]) == [False]
    assert overlapping(["a b c d e f g"], ["a b c d e f g"]) == [None]
    assert overlapping(["letters" * 8], ["letters" * 8]) == [True]
    assert question_text(Question(prompt="2+2=", answer="4")) == "2+2= 4"
