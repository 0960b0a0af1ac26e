"""Scores on tasks: what is counted, what is shown, what is dropped, what stands in a training text."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from foretoken.abilities import read_scores
from foretoken.errors import CorpusError, ForetokenError, TaskError
from foretoken.models import save_pretrained
from foretoken.scoring import score, score_network
from foretoken.scoring.marks import edit_distance, words_f1
from foretoken.scoring.overlap import overlapping
from foretoken.scoring.run_task import draw_order, examples_for
from foretoken.tasks import PromptTask, Question
from foretoken.tasks.made import make_task

from ..cli.test_verbs import RUNNER
from ..generation.toys import LETTERS, toy, untrained

RING = LETTERS * 6
GREEK = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi"


def question(start: int, right: bool = True, **more: str) -> Question:
    """Which two letters follow six of the ring? Where it is not `right`, the answer is another than the ring's."""
    following, other = RING[start + 6 : start + 8], RING[start + 2 : start + 4]
    answer = following if right else other
    return Question(prompt=RING[start : start + 6], answer=answer, choices=(other, following), **more)


TASK = PromptTask(
    name="ring",
    questions=tuple(question(start, start != 3, pair=str(start // 2)) for start in range(8)),
    examples=tuple(Question(prompt=RING[start : start + 2], answer=RING[start + 2 : start + 4]) for start in range(5)),
    between="",
)


def found(
    task: PromptTask, metric: str, preset: str = "llama", kind: str = "causal"
) -> tuple[float, float | None, int]:
    (one,) = [row for row in score_network(toy(preset, kind), task) if row.metric == metric]
    return one.score, one.score_se, one.n


@pytest.mark.parametrize(("preset", "kind"), [("llama", "causal"), ("lstm", "causal"), ("prefix", "prefix")])
def test_seven_of_eight_are_right_and_three_of_four_twins(preset: str, kind: str) -> None:
    for metric in ("accuracy", "accuracy_per_token", "accuracy_per_byte", "accuracy_unconditional"):
        assert found(TASK, metric, preset, kind)[::2] == (7 / 8, 8)
    share, error, twins = found(TASK, "consistency", preset, kind)
    assert (share, twins) == (3 / 4, 4)
    assert error == pytest.approx(0.25)


def test_answers_that_are_written() -> None:
    free = tuple(Question(prompt=one.prompt, answer=one.answer) for one in TASK.questions)
    # The ring is written up to its next a, so that the answer is right where two letters stand before it.
    metrics = ("exact_match", "token_edit_distance", "last_word_accuracy")
    task = replace(TASK, questions=free, between="a", metrics=metrics)
    assert found(task, "exact_match")[0] == 1 / 8
    assert found(task, "last_word_accuracy")[0] == 7 / 8
    assert 0 < found(task, "token_edit_distance")[0] < 1


def test_probabilities_are_those_of_the_network() -> None:
    model = untrained("llama", "causal")
    with torch.no_grad():
        each = [
            model.network(torch.tensor([[*(one.prompt + one.answer).encode()]]))[0, 5:7].log_softmax(-1)
            for one in TASK.questions
        ]
    sums = [
        float(rows[range(2), list(one.answer.encode())].sum()) for rows, one in zip(each, TASK.questions, strict=True)
    ]
    by_name = {row.metric: row.score for row in score_network(model, TASK)}
    assert by_name["answer_nll"] == pytest.approx(-sum(sums) / 16, abs=1e-4)
    assert by_name["answer_probability"] == pytest.approx(float(torch.tensor(sums).exp().mean()), rel=1e-4)


def test_shots_are_drawn_once_and_never_the_question() -> None:
    order = draw_order(TASK, seed=3)
    one, several = (examples_for(TASK, TASK.questions[0], order, shots) for shots in (1, 4))
    assert several[:1] == one
    itself = replace(TASK.examples[order[0]])
    assert itself not in examples_for(TASK, itself, order, 4)
    scores = score(toy("llama", "causal"), TASK, shots=(0, 2), seeds=(0, 1, 2))
    assert {row.shots for row in scores.scores} == {0, 2}
    assert [read.seeds for read in scores.tasks] == [(0,), (0, 1, 2)]
    assert not scores.checks


@pytest.mark.parametrize("name", ["lookup", "linear"])
def test_a_questions_own_examples_are_shown_in_their_order(name: str) -> None:
    task = make_task(name, questions=4, **({"pairs": 3} if name == "lookup" else {}))
    model = untrained("lstm", "causal")
    for one in task.questions:
        for shots in (0, 2, 4):
            assert examples_for(task, one, draw_order(task, seed=1), shots) == list(one.examples[:shots])
    scores = score(model, task, shots=(0, 2, 4), seeds=(0, 1), metrics=["answer_nll"])
    assert [(read.shots, read.seeds, read.with_fewer) for read in scores.tasks] == [(n, (0,), 0) for n in (0, 2, 4)]
    assert len({row.score for row in scores.scores}) == 3
    first = replace(task, questions=task.questions[:1], metrics=("answer_nll",))
    written = first.prompt(first.questions[0], first.questions[0].examples[:2])
    plain = replace(first, template="{prompt}", instruction="",
                    questions=(replace(first.questions[0], prompt=written, examples=()),))  # fmt: skip
    assert score(model, first, shots=(2,)).scores[0].score == score(model, plain).scores[0].score
    most = min(len(one.examples) for one in task.questions)
    with pytest.raises(TaskError, match="too few solved examples"):
        score(model, task, shots=(most + 1,))


def test_a_question_among_the_examples_has_one_less_to_be_shown() -> None:
    within = replace(TASK, questions=(*TASK.questions, replace(TASK.examples[0])), metrics=("answer_nll",))
    assert score(untrained("lstm", "causal"), within, shots=(4,)).tasks[0].with_fewer == 0
    with pytest.raises(TaskError, match="too few solved examples"):
        score(untrained("lstm", "causal"), within, shots=(5,))


def test_a_metric_that_is_left_out_is_told() -> None:
    symbols = untrained("llama", "causal", symbols=9)
    asked = tuple(Question(prompt=f"{n} {n}", answer=" 1", choices=(" 1", " 2")) for n in range(3))
    scores = score(symbols, PromptTask(name="symbols", questions=asked))
    assert [check.code for check in scores.checks] == ["metric_left_out"]
    assert "accuracy_unconditional" in scores.checks[0].evidence
    assert "accuracy_unconditional" not in {row.metric for row in scores.scores}
    assert not score(symbols, PromptTask(name="symbols", questions=asked, metrics=("accuracy",))).checks


def test_what_does_not_fit_is_told() -> None:
    many = replace(TASK, examples=TASK.examples * 4)
    scores = score(toy("llama", "causal"), many, shots=(10,))
    assert [check.code for check in scores.checks] == ["examples_dropped"]
    assert scores.tasks[0].with_fewer == 8
    long = Question(prompt=RING[:40], answer="a", choices=("a", "b"))
    scores = score(toy("llama", "causal"), replace(TASK, questions=(*TASK.questions, long)))
    assert (scores.tasks[0].questions, scores.tasks[0].left_out) == (8, 1)
    assert [check.code for check in scores.checks] == ["question_too_long"]
    with pytest.raises(TaskError, match="fits into the model's context"):
        score(toy("llama", "causal"), replace(TASK, questions=(long,)))
    assert score(toy("lstm", "causal"), replace(TASK, questions=(long,))).tasks[0].left_out == 0


def test_questions_of_one_document_are_not_independent() -> None:
    same = replace(TASK, questions=tuple(replace(one, document="d", pair="") for one in TASK.questions))
    assert found(same, "accuracy")[1] is None


def test_what_is_asked_for_wrongly_is_refused() -> None:
    model = toy("llama", "causal")
    for wrong, told in (
        ({"shots": (6,)}, "too few solved examples"), ({"shots": ()}, "shots are whole numbers"),
        ({"seeds": (-1,)}, "seeds are whole numbers"), ({"limit": 0}, "limit"),
        ({"metrics": ["acc"]}, "no such metric"),
    ):  # fmt: skip
        with pytest.raises(TaskError, match=told):
            score(model, TASK, **wrong)  # type: ignore[arg-type]
    with pytest.raises(TaskError, match="several times"):
        score(model, [TASK, TASK])
    with pytest.raises(CorpusError, match="missing"):
        score(model, TASK, against="nowhere")
    with pytest.raises(ForetokenError, match="cannot read"):
        score(model, "nowhere.jsonl")


def test_what_stands_in_the_training_text_is_scored_apart(tmp_path: Path) -> None:
    words = GREEK.split()
    inside = Question(prompt=" ".join(words[:11]), answer=" mu", choices=(" mu", " pi"))
    outside = Question(prompt=" ".join(words[::-1]), answer=" mu", choices=(" mu", " pi"))
    (tmp_path / "train.txt").write_text("Before. " + ", ".join(words).upper() + " after")
    task = PromptTask(name="greek", questions=(inside, outside, question(0)), metrics=("accuracy",))
    model = untrained("lstm", "causal")
    scores = score(model, task, against=tmp_path)
    (overlap,) = scores.overlaps
    assert (overlap.questions, overlap.found, overlap.share) == (2, 1, 0.5)
    assert [row.n for row in (*scores.scores, *scores.clean_scores)] == [3, 2]
    assert [check.code for check in scores.checks] == ["in_training_text"]
    assert overlapping([" ".join(words[:12]) + " other"], [" ".join(words[:12])]) == [False]


def test_the_verb_prints_keys_and_a_table_that_scores_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from foretoken.cli import app
    from foretoken.data.tokenizer import ByteTokenizer

    monkeypatch.chdir(tmp_path)
    save_pretrained(toy("llama", "causal").network, tmp_path / "model")
    ByteTokenizer().save(tmp_path / "model" / "tokenizer.json")
    rows = [{"prompt": one.prompt, "answer": one.answer, "choices": one.choices} for one in TASK.questions]
    (tmp_path / "ring.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = RUNNER.invoke(app, ["score", "model", "ring.jsonl", "--metrics", "accuracy", "--json", "-o", "s.csv"])
    (row,) = json.loads(told.stdout)["scores"]
    assert (set(row), row["score"]) == ({"task", "metric", "shots", "score", "score_se", "n"}, 7 / 8)
    (tmp_path / "s.csv").write_text((tmp_path / "s.csv").read_text() + "other,1000,,,ring,accuracy,0,0.5,0.1,8,0.5\n")
    frame = read_scores(tmp_path / "s.csv").frame
    assert frame["score"].tolist() == [7 / 8, 0.5]
    assert frame["chance"].tolist() == [0.5, 0.5]
    told = RUNNER.invoke(app, ["score", "model", "--next", "abcd", "--top", "1"])
    assert "'e'" in told.stdout
    assert isinstance(RUNNER.invoke(app, ["score", "model"]).exception, ForetokenError)


def test_edits_and_words() -> None:
    assert edit_distance(b"kitten", b"sitting") == pytest.approx(3 / 7)
    assert words_f1("the cat sat", "A cat!") == pytest.approx(2 / 3)
