"""One model on one task, against the same reckoned by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from foretoken.errors import CorpusError
from foretoken.scoring import score, score_network
from foretoken.scoring.answers import greedy_answers
from foretoken.scoring.likelihood import Reader, likelihoods
from foretoken.scoring.marks import edit_distance, mean_over_questions
from foretoken.scoring.run_task import draw_order, run_task, show
from foretoken.tasks import PromptTask, Question

from ..generation.toys import untrained

MODEL = untrained("llama", "causal")
READER = Reader(MODEL)
CHOICES = (" yes", " no", " it is", " m")
TASK = PromptTask(
    name="letters",
    questions=tuple(
        Question(prompt=chr(97 + n) * 2, answer=CHOICES[n % 4], choices=CHOICES, pair=str(n // 2)) for n in range(12)
    ),
    examples=tuple(Question(prompt=chr(110 + n), answer=CHOICES[n % 4]) for n in range(6)),
)


def weighed(prompt: str, texts: tuple[str, ...]) -> np.ndarray:
    found = likelihoods(READER, [READER.split(prompt, text) for text in texts])
    return np.array([one.logprob for one in found])


def test_a_choice_alone_follows_what_the_template_has_behind_the_question() -> None:
    task = replace(TASK, template="{prompt} A:", metrics=("accuracy_unconditional",))
    after_bare, after_nothing = (
        [
            float(np.argmax(weighed(task.prompt(one), CHOICES) - weighed(bare, CHOICES)) == CHOICES.index(one.answer))
            for one in task.questions
        ]
        for bare in (" A:", "")
    )
    assert score_network(MODEL, task)[0].score == pytest.approx(np.mean(after_bare))
    assert after_bare != after_nothing


def test_twins_without_choices_are_both_right_where_both_are_written() -> None:
    free = tuple(replace(one, choices=()) for one in TASK.questions[:2])
    for questions in (free, (*free, *TASK.questions[2:])):
        task = replace(TASK, questions=questions, metrics=("consistency",))
        (row,) = score_network(MODEL, task)
        assert (row.score, row.n) == (0, len(questions) // 2)


def test_the_examples_farthest_from_the_question_are_dropped() -> None:
    shown = show(READER, TASK, TASK.questions[0], 0, TASK.examples)
    assert 0 < shown.examples < 6
    kept = TASK.prompt(TASK.questions[0], TASK.examples[-shown.examples :])
    assert bytes(shown.requests[0].prompt).decode() == kept
    longer = replace(TASK.questions[1], prompt="b" * 14)
    marks = run_task(READER, replace(TASK, questions=(TASK.questions[0], longer)), 4, [0], ["accuracy"])
    alone = [run_task(READER, replace(TASK, questions=(one,)), 4, [0], ["accuracy"]).fewest
             for one in (TASK.questions[0], longer)]  # fmt: skip
    assert alone[1] < alone[0]
    assert marks.fewest == alone[1]


def test_a_score_is_the_mean_over_seeds_each_once() -> None:
    assert draw_order(TASK, 0) != draw_order(TASK, 3)
    both, first, second, again = (
        score(MODEL, replace(TASK, metrics=("answer_nll",)), shots=(2,), seeds=seeds)
        for seeds in ((0, 3), (0,), (3,), (0, 0))
    )
    one, other = first.scores[0].score, second.scores[0].score
    assert one != other
    assert both.scores[0].score == pytest.approx((one + other) / 2)
    assert again.scores == first.scores
    assert again.tasks[0].seeds == (0,)


def test_twins_move_together_in_the_error() -> None:
    task = replace(TASK, metrics=("answer_nll",))
    (row,) = score_network(MODEL, task)
    each = [
        -weighed(one.prompt, (one.answer,))[0] / len(READER.split(one.prompt, one.answer).text)
        for one in task.questions
    ]
    expected = mean_over_questions(np.array([each]), [one.pair for one in task.questions])
    assert (row.score, row.score_se) == pytest.approx(expected[:2])
    assert row.score_se != pytest.approx(mean_over_questions(np.array([each]), range(12)).se)


def test_edits_are_from_what_was_written_to_the_answer() -> None:
    task = replace(TASK, questions=TASK.questions[:3], metrics=("token_edit_distance",))
    most = 2 * len(" it is") + 8
    written = greedy_answers(READER, [tuple(one.prompt.encode()) for one in task.questions], most, ["\n"])
    edits = [
        edit_distance(MODEL.encode(text.text.strip()), MODEL.encode(one.answer.strip()))
        for text, one in zip(written, task.questions, strict=True)
    ]
    assert score_network(MODEL, task)[0].score == pytest.approx(np.mean(edits))


def test_the_first_questions_are_read_and_metrics_that_are_named_are_kept() -> None:
    assert score(MODEL, TASK, limit=3).tasks[0].questions == 3
    asked = tuple(Question(prompt=f"{n} {n}", answer=" 1", choices=(" 1", " 2")) for n in range(3))
    task = PromptTask(name="symbols", questions=asked, metrics=("accuracy_unconditional",))
    with pytest.raises(CorpusError, match="no prompt"):
        score(untrained("llama", "causal", symbols=9), task)
