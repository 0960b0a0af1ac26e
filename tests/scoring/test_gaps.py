"""What fills a gap is as likely as transformers says, with the same weights: encoders by masks, T5 by sentinels."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from foretoken.compute.objective import CLS, MASK, SEP
from foretoken.data.subword import SubwordTokenizer
from foretoken.errors import CheckpointError, CorpusError, TaskError
from foretoken.generation import Model, infill
from foretoken.models import save_pretrained
from foretoken.scoring import score, score_network
from foretoken.scoring.gaps import encode_pieces
from foretoken.scoring.likelihood import Reader, Request
from foretoken.scoring.masks import MaskReader
from foretoken.tasks import METRICS, PromptTask, Question
from foretoken.tasks.task import MASKS, Masks

from ..generation.toys import LETTERS, toy, untrained

RING = LETTERS * 6


def gap(start: int, right: bool = True, length: int = 3, whole: int = 30, **more: Any) -> Question:
    """Some letters of the ring are missing; where it is not `right`, the answer is another than the ring's."""
    text = RING[start : start + whole]
    before, missing, after = text[:12], text[12 : 12 + length], text[12 + length :]
    other = RING[start + 4 : start + 4 + length]
    return Question(
        prompt=before, answer=missing if right else other, choices=(other, missing), after=after,
        pair=str(start // 2), **more,
    )  # fmt: skip


CLOZE = PromptTask(name="ring", questions=tuple(gap(start, start != 3) for start in range(8)), between="")
SEVERAL = Question(prompt="ab", answer="cd", choices=("cd", "ce", "c"), after="efXXXXXgh")
"""With two gaps, and choices of several lengths."""


Read = Callable[[list[int]], Tensor]


def together(read: Read, model: Model, shown: list[int], places: list[int]) -> list[float]:
    """What a network says of tokens that are all hidden."""
    masked = [model.specials[MASK] if place in places else token for place, token in enumerate(shown)]
    rows = read(masked).log_softmax(-1)
    return [float(rows[place, shown[place]]) for place in places]


def by_hand(read: Read, model: Model, shown: list[int], places: list[int], masks: str) -> list[float]:
    if masks == "together":
        return together(read, model, shown, places)
    if masks == "left_to_right":
        return [together(read, model, shown, places[at:])[0] for at in range(len(places))]
    return [together(read, model, shown, [place])[0] for place in places]


def bert(model: Model, folder: Path) -> Read:
    """Logits of BertForMaskedLM, which reads the same weights."""
    transformers = pytest.importorskip("transformers")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save_pretrained(model.network, folder)
        theirs = transformers.BertForMaskedLM.from_pretrained(folder).eval()
    return lambda tokens: theirs(torch.tensor([tokens])).logits[0]


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("masks", MASKS)
def test_an_encoder_is_as_in_transformers(masks: Masks, trained: bool, tmp_path: Path) -> None:
    model = toy("bert", "masked") if trained else untrained("bert", "masked", layers=2)
    reader, read = MaskReader(model), bert(model, tmp_path)
    asked = [(question, answer) for question in (*CLOZE.questions[:3], SEVERAL) for answer in question.candidates]
    with torch.no_grad():
        found = reader.weigh([reader.request(question.prompt, question, answer, masks) for question, answer in asked])
        for (question, answer), one in zip(asked, found, strict=True):
            text = question.prompt + question.filled(answer)
            shown = [model.specials[CLS], *text.encode(), model.specials[SEP]]
            first = 1 + len(question.prompt)
            places = list(range(first, first + len(answer)))
            if question is SEVERAL:
                places += [place + len(answer) + 2 for place in places]
            expected = by_hand(read, model, shown, places, masks)
            assert one.logprobs == pytest.approx(expected, abs=1e-4)


def spans(model: Model, folder: Path) -> Callable[[list[int], list[int]], Tensor]:
    """The loss of a target, each token's, by T5ForConditionalGeneration, which reads the same weights."""
    transformers = pytest.importorskip("transformers")
    start = model.specials["[PAD]"]
    save_pretrained(model.network, folder, token_ids={"pad_token_id": start, "decoder_start_token_id": start})
    theirs = transformers.T5ForConditionalGeneration.from_pretrained(folder).eval()
    return lambda source, target: theirs(torch.tensor([source]), labels=torch.tensor([target])).logits[0]


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.filterwarnings("ignore")
def test_an_encoder_decoder_is_as_in_transformers(trained: bool, tmp_path: Path) -> None:
    name = "t5_v1_1"
    model = toy(name, "span_corruption") if trained else untrained(name, "span_corruption", layers=2, context=64)
    read, first, *more = spans(model, tmp_path), *model.sentinels
    questions = [gap(0, length=2), *([] if trained else [SEVERAL])]
    reader = Reader(model)
    with torch.no_grad():
        for question in questions:
            for answer in question.candidates:
                source, target = [*question.prompt.encode(), first], [first, *answer.encode(), more[0]]
                between = (question.after or "").split("XXXXX")
                source += between[0].encode()
                if question is SEVERAL:
                    source += [more[0], *between[1].encode()]
                    target += [*answer.encode(), more[1]]
                (one,) = reader.weigh([reader.request(question.prompt, question, answer, "together")])
                rows = read(source, target).log_softmax(-1)
                assert one.logprobs == pytest.approx([float(rows[at, to]) for at, to in enumerate(target)], abs=1e-4)


@pytest.mark.parametrize("masks", MASKS)
def test_an_encoder_has_learned_the_ring(masks: Masks) -> None:
    found = {row.metric: row for row in score_network(toy("encoder", "masked"), replace(CLOZE, masks=masks))}
    for metric in ("accuracy", "accuracy_per_token", "accuracy_per_byte"):
        assert found[metric].score == 7 / 8
    assert (found["consistency"].score, found["consistency"].n) == (3 / 4, 4)
    assert found["choice_probability"].score == pytest.approx(7 / 8, abs=0.05)
    assert found["consistency"].score_se == pytest.approx(0.25)
    assert "exact_match" not in found


@pytest.mark.parametrize("preset", ["t5_v1_1", "prefix"])
def test_what_fills_spans_has_learned_the_ring(preset: str) -> None:
    model = toy(preset, "span_corruption")
    text, hidden, _ = model.objective.hidden(model.network.shape)
    questions = tuple(gap(start, start != 3, length=hidden, whole=text) for start in range(8))
    found = {row.metric: row for row in score_network(model, replace(CLOZE, questions=questions))}
    assert (found["accuracy"].score, found["consistency"].score) == (7 / 8, 3 / 4)
    right = infill(model, f"{questions[0].prompt}<X>{questions[0].after}")
    written = replace(questions[0], answer=right.blanks[0].text, choices=())
    (alone,) = score_network(model, replace(CLOZE, questions=(written,), metrics=("answer_probability",)))
    assert alone.score == pytest.approx(math.exp(right.logprob), rel=1e-4)


def test_choices_after_a_prompt_and_last_words_are_gaps_at_the_end() -> None:
    model = toy("encoder", "masked")
    questions = tuple(replace(one, prompt=one.prompt * 2, after=None) for one in CLOZE.questions)
    ended = tuple(replace(one, after="") for one in questions)
    task = replace(CLOZE, questions=questions, metrics=("accuracy", "answer_nll"))
    plain, together = score_network(model, task), score_network(model, replace(task, questions=ended))
    assert plain != together
    assert plain == score_network(model, replace(task, questions=ended, masks="left_to_right"))
    free = PromptTask(
        name="end", questions=(Question(prompt=RING[:27], answer="hij"),), metrics=("last_word_accuracy",)
    )
    assert score_network(model, free)[0].score == 1
    for wrong in ("hia", "aij"):
        (row,) = score_network(
            model, replace(free, questions=(Question(prompt=RING[:27], answer=wrong),), masks="together")
        )
        assert row.score == 0


def test_a_choice_without_its_question_stands_alone_between_what_frames_a_text() -> None:
    model = untrained("bert", "masked", layers=2)
    reader = MaskReader(model)

    def weighed(prompt: str, question: Question) -> list[float]:
        asked = [reader.request(prompt, question, choice, "together") for choice in question.choices]
        return [one.logprob for one in reader.weigh(asked)]

    right = []
    for question in CLOZE.questions:
        alone = weighed("", replace(question, after=""))
        gains = [one - without for one, without in zip(weighed(question.prompt, question), alone, strict=True)]
        right.append(gains.index(max(gains)) == question.choices.index(question.answer))
    (found,) = score_network(model, replace(CLOZE, metrics=("accuracy_unconditional",)))
    assert found.score == pytest.approx(sum(right) / len(right))


TEXT = st.lists(st.integers(1, 6), min_size=1, max_size=5).map(tuple)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(data=st.data())
def test_each_is_as_if_it_were_read_alone(data: st.DataObject) -> None:
    reader, requests = MaskReader(untrained("encoder", "masked", layers=2)), []
    for _ in range(data.draw(st.integers(1, 6))):
        shown = data.draw(TEXT)
        places = tuple(sorted(data.draw(st.sets(st.integers(0, len(shown) - 1), min_size=1))))
        masks = data.draw(st.sampled_from(MASKS))
        requests.append(Request(shown, tuple(shown[place] for place in places), places, masks))
    found = reader.weigh(requests)
    for request, one in zip(requests, found, strict=True):
        (alone,) = reader.weigh([request])
        assert one.logprobs == pytest.approx(alone.logprobs, abs=1e-5)
        assert all(logprob < 0 for logprob in one.logprobs)
        assert one.greedy == alone.greedy


def test_large_batches_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    model = untrained("encoder", "masked", layers=2)
    whole = score_network(model, CLOZE)
    for name, size in (("BATCH_TOKENS", 40), ("BATCH_LOGITS", 600)):
        monkeypatch.setattr(f"foretoken.scoring.masks.{name}", size)
    for one, other in zip(whole, score_network(model, CLOZE), strict=True):
        assert other.score == pytest.approx(one.score, abs=1e-5)


def test_examples_and_room() -> None:
    model = untrained("encoder", "masked")
    short = tuple(replace(gap(start, whole=16), examples=()) for start in range(4))
    solved = tuple(Question(prompt=f"{letter}b", answer="c", after="XXXXXd") for letter in "xyz")
    task = replace(CLOZE, questions=(*short, gap(0, whole=31)), examples=solved, metrics=("answer_nll",))
    assert task.prompt(short[0], solved[:1]) == "xbccd" + short[0].prompt
    found = score(model, task, shots=(3,))
    assert [check.code for check in found.checks] == ["question_too_long", "examples_dropped"]
    assert (found.tasks[0].questions, found.tasks[0].left_out, found.tasks[0].with_fewer) == (4, 1, 4)
    with pytest.raises(TaskError, match="no question"):
        score(model, replace(task, questions=task.questions[4:]))


def test_what_a_model_that_fills_gaps_cannot_do_is_told() -> None:
    encoder, spans = untrained("encoder", "masked"), untrained("t5_v1_1", "span_corruption")
    free = PromptTask(name="free", questions=(Question(prompt="ab", answer="c", pair="a"),))
    found = score(encoder, free)
    assert [row.metric for row in found.scores] == ["answer_probability", "token_probability", "answer_nll"]
    assert {check.code for check in found.checks} == {"metric_left_out"}
    assert len(found.checks) == 4
    for model, task in ((encoder, free), (spans, CLOZE)):
        with pytest.raises(TaskError, match="exact_match: this model fills gaps and writes no answers"):
            score(model, task, metrics=("exact_match",))
    assert score(spans, free, metrics=("exact_match",)).scores  # the decoder writes where there is no gap
    with pytest.raises(CheckpointError, match="bare encoder"):
        score(replace(encoder, headless=True), CLOZE)
    with pytest.raises(CorpusError, match=r"has no \[MASK\]"):
        score(replace(encoder, specials={}), CLOZE)
    with pytest.raises(CorpusError, match="too few sentinels"):
        score(spans, replace(CLOZE, questions=(replace(SEVERAL, after="eXXXXXfXXXXXg"),)))


def pieces(model: Model, *texts: str) -> list[str]:
    return [model.decode(piece) for piece in encode_pieces(model, texts)]


def test_a_space_belongs_to_the_gap_where_tokens_hold_it() -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    letters = untrained("encoder", "masked")
    assert pieces(letters, "a ", "cat", " sat ", "cat", "") == ["a ", "cat", " sat ", "cat", ""]
    assert pieces(letters, "a", " cat", "") == ["a ", "cat", ""]
    assert pieces(letters, "a", " ", "b") == ["a", " ", "b"]
    words = ["Ġ", "a", "c", "Ġc", "s", "Ġs", "ac"]
    tokens = Tokenizer(models.BPE({word: at for at, word in enumerate(words)}, [("Ġ", "c"), ("Ġ", "s"), ("a", "c")]))
    tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    held = replace(letters, tokenizer=SubwordTokenizer("file", tokens.to_str()))
    assert encode_pieces(held, ["a ", "c", " s"]) == [(1,), (3,), (5,)]
    assert encode_pieces(held, ["a", " c", " s"]) == [(1,), (3,), (5,)]
    assert encode_pieces(held, ["a", "c", "s"]) == [(1,), (2,), (4,)]  # "ac" is one token, across the border
    with pytest.raises(TaskError, match="has no tokens"):
        encode_pieces(held, ["a", "?", ""])


def test_a_decoder_weighs_what_stands_behind_the_gap_too() -> None:
    model = untrained("llama", "causal")
    reader, question = Reader(model), replace(SEVERAL, after="efXXXXXg")
    assert reader.request("ab", question, "ce", "together") == reader.split("ab", "ceefceg")
    long = replace(question, choices=("cd", "e"), after="ffffff")
    plain = Question(prompt="ab", answer="cdffffff", choices=("cdffffff", "effffff"))
    for metric in METRICS:
        if metric != "consistency":
            found, other = (
                score_network(model, PromptTask(name="a", questions=(one,), metrics=(metric,), template="{prompt}:"))
                for one in (long, plain)
            )
            assert found == other
