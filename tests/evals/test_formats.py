"""What each family reads of each kind, and that what stands beside an example in a batch changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from foretoken.errors import TaskError
from foretoken.evals.finetuning_loop import extend_vocabulary
from foretoken.evals.formats import input_format
from foretoken.evals.tasks import CHOICE, LABELS, PAIR, SIMILARITY, SINGLE, TEXT_TO_TEXT, Example

from .small import ABILITIES, PRESET, VOCABULARY, example, network, task, tuned

A, B, C = (1, 2, 3), (4, 5), (6,)
START, DELIM, EXTRACT = 12, 13, 14
CLS, SEP = 12, 13
PAD, END = 12, 13


def inputs_of(family: str, kind: str):  # type: ignore[no-untyped-def]
    return input_format(task(kind), network(family).shape, {})[0]


def test_a_decoder_reads_start_a_delim_b_extract_and_takes_the_last_state() -> None:
    batch = inputs_of("decoder", PAIR).batch([Example((A, B), (1,)), Example((C, C), (0,))])
    assert batch.inputs["tokens"].tolist() == [
        [START, 1, 2, 3, DELIM, 4, 5, EXTRACT], [START, 6, DELIM, 6, EXTRACT, 0, 0, 0]
    ]  # fmt: skip
    assert batch.positions.tolist() == [7, 8 + 4]
    assert batch.targets.tolist() == [1, 0]


def test_an_encoder_reads_cls_a_sep_b_sep_with_segments() -> None:
    batch = inputs_of("encoder", PAIR).batch([Example((A, B), (1,)), Example((C, C), (0,))])
    assert batch.inputs["tokens"][0].tolist() == [CLS, 1, 2, 3, SEP, 4, 5, SEP]
    assert batch.inputs["segments"].tolist() == [[0, 0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 0, 0, 0]]
    assert batch.inputs["padding_mask"].sum(1).tolist() == [8, 5]
    assert batch.positions.tolist() == [0, 8]


def test_texts_without_an_order_are_read_in_both() -> None:
    batch = inputs_of("decoder", SIMILARITY).batch([Example((A, B), (1,))])
    assert [row[1] for row in batch.inputs["tokens"].tolist()] == [1, 4]


def test_each_choice_is_read_behind_the_text() -> None:
    batch = inputs_of("prefix", CHOICE).batch([Example((A, B, C, C), (2,))])
    assert batch.inputs["tokens"].shape == (3, 8)
    assert batch.inputs["tokens"][1].tolist() == [START, 1, 2, 3, DELIM, 6, EXTRACT, 0]
    assert batch.inputs["prefix"].tolist() == [8, 7, 7]
    assert batch.positions.tolist() == [7, 8 + 6, 16 + 6]


def test_the_states_of_labelled_tokens_are_taken() -> None:
    batch = inputs_of("lstm", LABELS).batch([Example((A,), (0, -1, 1)), Example((B,), (1, 1))])
    assert batch.positions.tolist() == [1, 3, 5 + 1, 5 + 2]
    assert (batch.targets.tolist(), batch.example_index.tolist()) == ([0, 1, 1, 1], [0, 0, 1, 1])


def test_one_stack_predicts_the_target_behind_the_source() -> None:
    batch = inputs_of("prefix", TEXT_TO_TEXT).batch([Example((A, B)), Example((C, C))])
    assert batch.inputs["tokens"].tolist() == [[START, 1, 2, 3, DELIM, 4, 5], [START, 6, DELIM, 6, 0, 0, 0]]
    assert batch.inputs["prefix"].tolist() == [5, 3]
    assert batch.positions.tolist() == [4, 5, 6, 7 + 2, 7 + 3]
    assert batch.targets.tolist() == [4, 5, EXTRACT, 6, EXTRACT]


def test_two_stacks_read_source_and_target_apart() -> None:
    batch = inputs_of("encoder_decoder", TEXT_TO_TEXT).batch([Example((A, B)), Example((C, C))])
    assert batch.inputs["tokens"].tolist() == [[1, 2, 3, END], [6, END, 0, 0]]
    assert batch.inputs["target"].tolist() == [[PAD, 4, 5], [PAD, 6, 0]]
    assert batch.targets.tolist() == [4, 5, END, 6, END]


def test_the_marks_that_a_network_knows_are_used_and_the_others_are_appended() -> None:
    shape = network("encoder").shape
    assert input_format(task(SINGLE), shape, {"<s>": 3, "</s>": 4})[1] == VOCABULARY
    inputs, vocabulary = input_format(task(SINGLE), shape, {"[SEP]": 3})
    assert (inputs.delimiters, vocabulary) == ({"[CLS]": VOCABULARY, "[SEP]": 3}, VOCABULARY + 1)


@pytest.mark.parametrize(("family", "kind"), ABILITIES)
def test_what_else_is_in_a_batch_changes_nothing(family: str, kind: str) -> None:
    model, inputs = tuned(family, kind)
    several = [example(kind, number) for number in range(6)]
    with torch.no_grad():
        batch = inputs.batch(several)
        together = model(batch)
        for number, one in enumerate(several):
            torch.testing.assert_close(
                model(inputs.batch([one])), together[torch.from_numpy(batch.example_index == number)]
            )


@pytest.mark.parametrize("family", list(PRESET))
def test_the_order_of_similar_texts_says_nothing(family: str) -> None:
    model, inputs = tuned(family, SIMILARITY)
    with torch.no_grad():
        there, back = (model(inputs.batch([Example(texts, (0,))])) for texts in ((A, B), (B, A)))
    torch.testing.assert_close(there, back)


@pytest.mark.parametrize("family", list(PRESET))
def test_new_tokens_leave_the_old_ones_as_they_were(family: str) -> None:
    small = network(family).eval()
    wide = extend_vocabulary(small, VOCABULARY + 3, seed=1).eval()
    tokens = [torch.arange(8)[None], torch.arange(4)[None]][: 2 if family == "encoder_decoder" else 1]
    with torch.no_grad():
        torch.testing.assert_close(wide(*tokens)[..., :VOCABULARY], small(*tokens))
    fresh = extend_vocabulary(small, VOCABULARY + 3, seed=1, fresh=True)
    old = dict(wide.named_parameters())
    drawn = {name: weight for name, weight in fresh.named_parameters() if weight.ndim > 1 and "relative" not in name}
    assert not any(torch.equal(old[name], weight) for name, weight in drawn.items())


def test_text_to_text_needs_a_family_that_writes() -> None:
    with pytest.raises(TaskError, match="an encoder gives no text"):
        inputs_of("encoder", TEXT_TO_TEXT)


@pytest.mark.parametrize(
    ("family", "kind", "long"),
    [
        ("decoder", SINGLE, Example(((1,) * 15,), (0,))),
        ("encoder", CHOICE, Example(((1,) * 8, (1,), (1,) * 6, (1,)), (0,))),
        ("prefix", TEXT_TO_TEXT, Example(((1,) * 7, (1,) * 7))),
        ("encoder_decoder", TEXT_TO_TEXT, Example(((1,) * 16, (1,)))),
        ("encoder_decoder", TEXT_TO_TEXT, Example(((1,), (1,) * 16))),
    ],
)
def test_what_is_longer_than_the_context_is_refused(family: str, kind: str, long: Example) -> None:
    some = (*task(kind).test[:5], long)
    with pytest.raises(TaskError, match=r"test example 6 of a is longer than the context\n.*up to 16 tokens") as error:
        input_format(task(kind, test=some), network(family).shape, {})
    assert error.value.got == "17"
    shorter = tuple(Example(tuple(text[:-1] or text for text in one.texts), one.labels) for one in [long])
    input_format(task(kind, test=shorter), network(family).shape, {})


def test_tokens_of_another_tokenizer_are_refused() -> None:
    with pytest.raises(TaskError, match="a token that the network does not know"):
        input_format(task(SINGLE, test=(Example(((VOCABULARY,),), (0,)),)), network("decoder").shape, {})


def test_filled_places_are_no_targets() -> None:
    batch = inputs_of("decoder", SINGLE).batch([Example((A,), (0,)), Example((C,), (1,))])
    assert np.take(batch.inputs["tokens"], batch.positions).tolist() == [EXTRACT, EXTRACT]
