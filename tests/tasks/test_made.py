"""Made tasks: right answers, questions that are never trained on, the same text in every process, exact counts."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import foretoken as ft
from foretoken.errors import TaskError
from foretoken.runs.task_section import DEFAULTS, TaskSection
from foretoken.tasks.draws import Draws
from foretoken.tasks.made import make_documents, make_task
from foretoken.tasks.makers import ADJECTIVES, CITIES, MAKERS, NOUNS, PHRASINGS, VERBS, WORDS

NAMES = sorted(DEFAULTS)
SMALL: dict[str, dict[str, Any]] = {"facts": {"facts": 12, "fewest": 2, "most": 50}}
"""Options that keep a test quick."""


def lines(name: str, documents: int, seed: int = 0, **options: Any) -> list[list[str]]:
    """The solved examples of each of so many training documents."""
    made = islice(make_documents(name, seed=seed, **options), documents)
    return [document.splitlines() for document in made]


def adds(line: str) -> bool:
    a, b, total = map(int, re.split(r"[+=]", line))
    return a + b == total


def is_modular(line: str) -> bool:
    found = re.fullmatch(r"(\d+)([+*])(\d+) mod (\d+)=(\d+)", line)
    assert found
    a, sign, b, modulus, result = found.groups()
    expected = int(a) + int(b) if sign == "+" else int(a) * int(b)
    return expected % int(modulus) == int(result)


def is_rearranged(line: str) -> bool:
    word, text, answer = re.split("[ =]", line)
    return answer == {"copy": text, "reverse": text[::-1], "sort": "".join(sorted(text))}[word]


def cancels(brackets: str) -> bool:
    """Whether all brackets are closed: pairs that touch are removed until none is left."""
    while (shorter := re.sub(r"\(\)|\[\]|\{\}|<>", "", brackets)) != brackets:
        brackets = shorter
    return not brackets


def is_closed(line: str) -> bool:
    text, answer = line.removeprefix("close ").split("=")
    return cancels(text + answer) and not cancels(text)


def is_told(line: str) -> bool:
    text, answer = line.removeprefix("balanced ").split("=")
    return cancels(text) == (answer == "yes")


def is_recalled(line: str) -> bool:
    *pairs, asked = line.split(" ")
    return asked in pairs


def is_translated(line: str) -> bool:
    english, french = line.split(" > ")
    words = {**NOUNS, **ADJECTIVES, **VERBS, **WORDS, "the": "le"}
    for word in ADJECTIVES:
        english = re.sub(rf"\b{word} (\w+)", rf"\1 {word}", english)
    return " ".join(words[word] for word in english.split(" ")) == french


RIGHT: dict[str, Callable[[str], bool]] = {
    "addition": adds,
    "operands": adds,
    "modular": is_modular,
    **dict.fromkeys(("copy", "reverse", "sort"), is_rearranged),
    "brackets": is_closed,
    "balanced": is_told,
    "recall": is_recalled,
    "translation": is_translated,
}


def test_the_registry_and_the_options_name_the_same_tasks() -> None:
    assert MAKERS.keys() == DEFAULTS.keys() == {*RIGHT, "lookup", "linear", "facts"}


@pytest.mark.parametrize("name", sorted(RIGHT))
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_every_answer_is_right(name: str, seed: int) -> None:
    asked = [one.prompt + one.answer for one in make_task(name, seed=seed, questions=20).questions]
    trained = [line for document in lines(name, 10, seed) for line in document]
    assert len(trained) == 80
    assert all(RIGHT[name](line) for line in asked + trained)


@pytest.mark.parametrize(("base", "reversed_"), [(2, False), (10, True), (16, True)])
def test_sums_of_other_bases_and_from_the_last_digit(base: int, reversed_: bool) -> None:
    made = lines("addition", 20, digits=12, base=base, reversed=reversed_)
    for line in (line for document in made for line in document):
        a, b, total = re.split(r"[+=]", line)
        assert int(a, base) + int(b, base) == int(total[::-1] if reversed_ else total, base)


def test_hidden_functions_are_one_for_each_document() -> None:
    for document in lines("lookup", 20):
        assert len(set(document)) == len({line.split("=")[0] for line in document}) <= 4
    slopes = set()
    for document in lines("linear", 30):
        points = [tuple(map(int, re.findall(r"\d+", line))) for line in document]
        assert len(points) == len(set(points)) == 10
        (x, y), (z, w) = points[:2]
        slope, rest = divmod(w - y, z - x)
        assert rest == 0
        assert all(y + slope * (u - x) == v for u, v in points)
        slopes.add((slope, y - slope * x))
    assert len(slopes) > 15


def test_questions_in_context_have_examples_of_their_own_function_which_is_never_trained() -> None:
    trained = {frozenset(document) for document in lines("linear", 500)}
    for question in make_task("linear").questions:
        own = {one.prompt + one.answer for one in question.examples}
        assert len(own) == 9
        assert question.prompt not in {one.prompt for one in question.examples}
        assert frozenset({*own, question.prompt + question.answer}) not in trained
    for question in make_task("lookup").questions:
        shown = {one.prompt: one.answer for one in question.examples}
        assert shown.get(question.prompt, question.answer) == question.answer
        assert len(question.examples) == 11


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"lookup", "linear"}))
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 100), other=st.integers(0, 100))
def test_no_question_is_in_a_training_text_of_any_seed(name: str, seed: int, other: int) -> None:
    options = SMALL.get(name, {})
    if name == "facts":  # whose people are each seed's own
        other = seed
    asked = {one.prompt for one in make_task(name, seed=seed, questions=50, **options).questions}
    trained = {line for split in ("train", "validation") for document in islice(
        make_documents(name, seed=other, split=split, **options), 60) for line in document.splitlines()}  # fmt: skip
    assert not any(line.startswith(prompt) for line in trained for prompt in asked)


def test_a_sum_is_held_out_in_both_orders() -> None:
    trained = {line.split("=")[0] for document in lines("modular", 3000, modulus=11) for line in document}
    pairs = {tuple(map(int, line.split(" mod")[0].split("+"))) for line in trained}
    assert pairs == {(b, a) for a, b in pairs}
    questions = make_task("modular", modulus=11).questions
    asked = {tuple(map(int, one.prompt.split(" mod")[0].split("+"))) for one in questions}
    assert not asked & pairs
    assert len(asked | pairs) == 121, "all held-out inputs are found, however few there are"


@pytest.mark.parametrize("name", NAMES)
def test_choices_are_different_and_one_is_right(name: str) -> None:
    options = {"choices": 4} if "choices" in DEFAULTS[name] else {}
    questions = make_task(name, questions=50, **options).questions
    assert all(one.answer in one.choices for one in questions)
    if options:
        assert {len(one.choices) for one in questions} == {4}
        assert len({one.choices.index(one.answer) for one in questions}) == 4


def test_text_is_the_same_in_another_process_and_as_it_was() -> None:
    code = (
        "import hashlib, itertools, foretoken as ft; from foretoken.runs.task_section import DEFAULTS\n"
        "text = ''.join(d for n in sorted(DEFAULTS) for d in itertools.islice(ft.make_documents(n, seed=3), 5))\n"
        "asked = repr([ft.make_task(n, seed=3, questions=5).questions for n in sorted(DEFAULTS)])\n"
        "print(hashlib.sha256((text + asked).encode()).hexdigest()[:16])"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True, text=True, check=True,
        ).stdout.strip() for seed in ("1", "2")
    }  # fmt: skip
    text = "".join(d for n in NAMES for d in islice(make_documents(n, seed=3), 5))
    asked = repr([make_task(n, seed=3, questions=5).questions for n in NAMES])
    assert told == {hashlib.sha256((text + asked).encode()).hexdigest()[:16]}
    # Where this changes, VERSION of tasks/maker.py has to change, too: corpora are named by it.
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == TEXT_OF_VERSION_1


TEXT_OF_VERSION_1 = "e789b060f2fc5c07"


@pytest.mark.parametrize("name", NAMES)
def test_seeds_differ(name: str) -> None:
    assert lines(name, 3, seed=0) != lines(name, 3, seed=1)
    assert make_task(name, seed=0).questions != make_task(name, seed=1).questions


def test_mentions_are_those_of_the_text() -> None:
    options = {"facts": 12, "fewest": 1, "most": 300}
    text = "".join(islice(make_documents("facts", seed=5, **options), 77))
    task = make_task("facts", seed=5, documents=77, **options)
    assert [one.count for one in task.questions] == [text.count(one.document) for one in task.questions]
    sums = [line.split("=")[0].split("+") for document in lines("operands", 40, 5) for line in document]
    for one in make_task("operands", seed=5, documents=40).questions:
        assert one.count == sum(one.document in operands for operands in sums)


def test_whole_rounds_of_facts_have_the_planned_mentions() -> None:
    options = {"facts": 5, "fewest": 1, "most": 10_000, "examples": 1}
    assert [one.count for one in make_task("facts", documents=11_111, **options).questions] == [
        1,
        10,
        100,
        1000,
        10_000,
    ]


def test_a_fact_is_asked_in_words_that_never_say_it() -> None:
    text = "".join(islice(make_documents("facts", facts=20, most=200), 400))
    for question in make_task("facts", facts=20, most=200).questions:
        assert question.prompt not in text
        assert question.document in text
        said = {way for way in PHRASINGS if way.format(question.document) + question.answer in text}
        assert len(said) <= 3
        assert question.answer in CITIES


def test_examples_that_may_be_shown_are_of_no_question() -> None:
    task = make_task("addition")
    assert len(task.examples) > 50
    assert not {one.prompt for one in task.examples} & {one.prompt for one in task.questions}
    assert ft.make_documents is make_documents


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("adition", {}, "did you mean 'addition'"),
        ("addition", {"digit": 2}, "did you mean 'digits'"),
        ("copy", {"digits": 2}, "no such option"),
        ("facts", {"held_out": 0.2}, "no such option"),
        ("addition", {"digits": 0}, "digits: "),
        ("addition", {"digits": "three"}, "digits: "),
        ("addition", {"choices": 1}, "two or more"),
        ("modular", {"operation": "-"}, "operation: "),
        ("modular", {"modulus": 3, "choices": 4}, "answers that there are"),
        ("operands", {"digits": 9}, "has a frequency"),
        ("balanced", {"length": 7}, "even"),
        ("facts", {"fewest": 9, "most": 3}, "above `most`"),
        ("facts", {"facts": 10_000, "most": 10_000}, "10000000"),
        ("addition", {"questions": 0}, "one or more"),
        ("addition", {"seed": -1}, "negative"),
    ],
)
def test_what_cannot_be_made_is_refused(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(TaskError, match=re.escape(words)):
        make_task(name, **options)


def test_an_input_that_cannot_be_had_is_refused() -> None:
    with pytest.raises(TaskError, match="held out"):
        make_task("copy", length=2, letters=2, held_out=0.001)


@settings(max_examples=50, deadline=None)
@given(limit=st.integers(1, 2**80))
def test_a_number_below_a_limit_can_be_any(limit: int) -> None:
    draws = Draws(str(limit))
    drawn = [draws.below(limit) for _ in range(64)]
    assert all(0 <= one < limit for one in drawn)
    assert limit < 100 or len({one % 2 for one in drawn}) == 2, "no bit is always 0"


def test_titles_tell_options_apart() -> None:
    assert TaskSection(name="copy").title == "copy"
    assert TaskSection(name="addition", digits=2, reversed=True).title == "addition(digits=2, reversed=True)"
