"""What is hidden, and how often: the papers' shares over a million tokens, and whole texts given back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.compute.objective import CLS, MASK, PAD, SEP, Objective
from foretoken.compute.shape import PRESETS, ModelShape
from foretoken.errors import DesignError
from foretoken.objectives import ExampleBuilder, Examples, make_examples
from foretoken.objectives.masked import corrupt_tokens
from foretoken.objectives.span_corruption import corrupt_spans
from foretoken.objectives.spans import random_spans

WORDS = 1000
"""Words of the random text; separators are 0."""


def example_builder(preset: str, kind: str, context: int = 128, **options: Any) -> ExampleBuilder:
    objective = Objective(kind=kind, **options)
    shape = ModelShape(
        **{"layers": 1, "width": 8, "heads": 1, "context": context, "vocabulary": WORDS, **PRESETS[preset]}
    )
    if shape.family == "encoder_decoder":
        length = objective.target_length(context) if kind == "span_corruption" else context
        shape = replace(shape, decoder_context=length)
    if objective.next_sentence:
        shape = replace(shape, classes=2, pooler=True, token_types=2)
    names = objective.specials(shape)
    shape = replace(shape, vocabulary=WORDS + len(names))
    objective.check(shape)
    specials = {name: WORDS + number for number, name in enumerate(names)}
    return ExampleBuilder(objective=objective, shape=shape, text_vocabulary=WORDS, specials=specials, separator=0)


def random_text(builder: ExampleBuilder, tokens: float, seed: int = 0) -> Any:
    length = builder.objective.window(builder.shape).length
    return np.random.default_rng(seed).integers(1, WORDS, (int(tokens) // length, length))


def positions(found: Examples) -> Any:
    assert found.positions is not None
    return found.positions


def within(found: float, expected: float, trials: float) -> bool:
    """Whether a share is within four standard errors of what is expected."""
    return bool(abs(found - expected) < 4 * np.sqrt(expected * (1 - expected) / trials))


@pytest.mark.parametrize("mean_span_length", [1.0, 3.0])
def test_masking_hides_15_percent_and_shows_80_10_10(mean_span_length: float) -> None:
    builder = example_builder("bert", "masked", mean_span_length=mean_span_length)
    text = random_text(builder, 1e6)
    found = make_examples(builder, text, np.random.default_rng(1))
    shown = found.inputs["tokens"].reshape(-1)[positions(found)]
    assert len(found.targets) == pytest.approx(0.15 * text.size, rel=0.001)
    masks, same = shown == builder.specials[MASK], shown == found.targets
    other = ~masks & ~same
    assert within(masks.mean(), 0.8, len(shown))
    assert within(same.mean(), 0.1 + 0.1 / WORDS, len(shown))
    assert within(other.mean(), 0.1 - 0.1 / WORDS, len(shown))
    assert shown[other].max() < WORDS
    untouched = np.ones(found.inputs["tokens"].size, dtype=bool)
    untouched[positions(found)] = False
    whole = found.inputs["tokens"].copy().reshape(-1)
    whole[positions(found)] = found.targets
    framed = whole.reshape(found.inputs["tokens"].shape)
    np.testing.assert_array_equal(framed[:, 1:-1], text)
    assert (framed[:, 0] == builder.specials[CLS]).all()
    assert (framed[:, -1] == builder.specials[SEP]).all()


def test_every_place_is_hidden_as_often() -> None:
    builder = example_builder("bert", "masked")
    found = make_examples(builder, random_text(builder, 1e6), np.random.default_rng(1))
    sequences = len(found.inputs["tokens"])
    often = np.bincount(positions(found) % 128, minlength=128)[1:-1] / sequences
    assert all(within(share, 0.15, sequences) for share in often)


def test_masks_are_drawn_anew_at_each_visit() -> None:
    builder = example_builder("bert", "masked")
    text = random_text(builder, 1e4)
    first, second = (positions(make_examples(builder, text, np.random.default_rng(seed))) for seed in (1, 2))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("preset", ["t5", "prefix"])
def test_span_corruption_hides_15_percent_in_spans_of_3_unless_told_otherwise(preset: str) -> None:
    """Raffel et al. 2019 (arXiv 1910.10683), sections 3.1.4 and 3.3.4; whole tokens and spans leave 2 %."""
    builder = example_builder(preset, "span_corruption", context=512)
    text = random_text(builder, 1e6)
    target = make_examples(builder, text, np.random.default_rng(1)).targets.reshape(len(text), -1)
    hidden, sentinels = (target < WORDS).sum(), (target >= WORDS).sum()
    assert hidden / text.size == pytest.approx(0.15, rel=0.02)
    assert hidden / (sentinels - len(text)) == pytest.approx(3, rel=0.02)  # the last sentinel of a row has no span


@pytest.mark.parametrize(
    ("options", "mean"), [({}, 1 / 0.85), ({"mean_span_length": 3.0}, 3.0), ({"mean_span_length": 4.0}, 4.0)]
)
def test_masked_tokens_lie_in_spans_of_the_mean_length(options: dict[str, float], mean: float) -> None:
    """Tokens that are hidden one by one lie together by chance: 1 / (1 - 0.15) of them at a time."""
    builder = example_builder("bert", "masked", context=512, **options)
    found = make_examples(builder, random_text(builder, 1e6), np.random.default_rng(1))
    hidden = np.zeros(found.inputs["tokens"].size, dtype=bool)
    hidden[positions(found)] = True
    runs = (hidden & ~np.pad(hidden, (1, 0))[:-1]).sum()  # [CLS] and [SEP] keep the sequences' runs apart
    assert hidden.sum() / runs == pytest.approx(mean, rel=0.02)


def test_random_spans_are_as_many_as_asked_for_and_reach_both_ends() -> None:
    hidden = random_spans(5000, 126, 19, 6, np.random.default_rng(0), ends=True)
    starts = hidden & ~np.pad(hidden, ((0, 0), (1, 0)))[:, :-1]
    assert (hidden.sum(1) == 19).all()
    assert (starts.sum(1) == 6).all()
    assert hidden[:, 0].any()
    assert hidden[:, -1].any()


def test_next_sentences_are_balanced_and_what_they_say() -> None:
    builder = example_builder("bert", "masked", next_sentence=True)
    length = builder.objective.window(builder.shape).length
    rows = np.arange(64)[:, None] * length + np.arange(length) + 1  # each text counts on, none is like another
    builder = replace(builder, text_vocabulary=64 * length + 1, separator=None)
    builder = replace(builder, specials={name: 10**6 + number for number, name in enumerate(builder.specials)})
    found = make_examples(builder, rows, np.random.default_rng(0))
    tokens = found.inputs["tokens"].copy()
    tokens.reshape(-1)[positions(found)] = found.targets
    assert found.labels is not None
    assert found.labels.sum() == 32
    for row, segments, label in zip(tokens, found.inputs["segments"], found.labels, strict=True):
        first, second = row[1 : segments.argmax() - 1], row[segments == 1][:-1]
        assert row[segments.argmax() - 1] == builder.specials[SEP] == row[-1]
        assert (np.diff(first) == 1).all()
        assert (np.diff(second) == 1).all()
        assert (second[0] == first[-1] + 1) == (label == 0)


def test_a_pair_does_not_cross_the_end_of_a_document() -> None:
    builder = example_builder("bert", "masked", next_sentence=True)
    text = random_text(builder, 1e4)
    text[:, 40] = 0
    found = make_examples(builder, text, np.random.default_rng(0))
    tokens = found.inputs["tokens"].copy()
    tokens.reshape(-1)[positions(found)] = found.targets
    assert not (tokens == 0).any()
    assert (tokens == builder.specials[PAD]).any()
    np.testing.assert_array_equal(found.inputs["padding_mask"], tokens != builder.specials[PAD])
    assert not np.isin(found.targets, list(builder.specials.values())).any()


def test_the_lectures_example_of_span_corruption() -> None:
    """Figure 2 of Raffel et al. 2019 (arXiv 1910.10683)."""
    words = ["Thank", "you", "for", "inviting", "me", "to", "your", "party", "last", "week", "."]
    hidden = np.array([[word in ("for", "inviting", "last") for word in words]])
    numbers = np.arange(len(words))[None]
    spelled = {**dict(enumerate(words)), 100: "<X>", 101: "<Y>", 102: "<Z>"}
    source, target = corrupt_spans(numbers, hidden, np.array([100, 101, 102]))
    assert " ".join(spelled[token] for token in source[0]) == "Thank you <X> me to your party <Y> week ."
    assert " ".join(spelled[token] for token in target[0]) == "<X> for inviting <Y> last <Z>"


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["t5", "prefix"]),
    st.integers(24, 300),
    st.floats(0.1, 0.6),
    st.floats(1.0, 3.5),
    st.integers(0, 99),
)
def test_source_and_target_give_the_text_back(
    preset: str, context: int, share: float, mean_span_length: float, seed: int
) -> None:
    builder = example_builder(
        preset, "span_corruption", context, corruption_rate=share, mean_span_length=mean_span_length
    )
    text = random_text(builder, 3 * builder.objective.window(builder.shape).length, seed)
    found = make_examples(builder, text, np.random.default_rng(seed))
    targets = found.targets.reshape(3, -1)
    if preset == "prefix":
        prefix = found.inputs["prefix"][0]
        sources = found.inputs["tokens"][:, :prefix]
        assert found.inputs["tokens"].shape[1] <= context
    else:
        sources = found.inputs["tokens"]
        assert sources.shape[1] <= context
        assert targets.shape[1] == builder.shape.decoder_context
        assert (found.inputs["target"][:, 0] == builder.specials[PAD]).all()
        np.testing.assert_array_equal(found.inputs["target"][:, 1:], targets[:, :-1])
    for row, source, target in zip(text, sources, targets, strict=True):
        spans = np.split(target, np.flatnonzero(target >= WORDS))[1:]
        filled = {int(span[0]): span[1:] for span in spans}
        back = [filled[token] if token >= WORDS else [token] for token in source.tolist()]
        np.testing.assert_array_equal(np.concatenate(back), row)
        assert len(filled) == (source >= WORDS).sum() + 1


def test_a_prefix_has_any_length_and_predictions_start_at_its_end() -> None:
    builder = example_builder("prefix", "prefix", context=8)
    found = make_examples(builder, random_text(builder, 9e4), np.random.default_rng(0))
    prefix = found.inputs["prefix"]
    assert set(prefix.tolist()) == set(range(1, 8))
    counts = np.bincount(found.sequence_of)
    np.testing.assert_array_equal(counts, 8 - prefix + 1)
    assert len(found.targets) / found.inputs["tokens"].size == pytest.approx(
        builder.objective.predicted(builder.shape), abs=0.01
    )


def test_no_document_is_predicted_from_another() -> None:
    builder = example_builder("gpt2", "causal", context=8, separate_documents=True)
    text = np.array([[5, 6, 0, 7, 8, 9, 0, 0, 4]])
    found = make_examples(builder, text, np.random.default_rng(0))
    assert found.inputs["documents"].tolist() == [[0, 0, 0, 1, 1, 1, 1, 2]]
    assert found.targets.tolist() == [6, 0, 8, 9, 0]


def test_corruption_leaves_what_is_not_hidden() -> None:
    tokens = np.arange(100)[None]
    hidden = np.zeros((1, 100), dtype=bool)
    hidden[0, ::7] = True
    shown = corrupt_tokens(tokens, hidden, 999, 100, np.random.default_rng(0))
    np.testing.assert_array_equal(shown[~hidden], tokens[~hidden])


@pytest.mark.parametrize(
    ("preset", "kind", "options", "told"),
    [
        ("gpt2", "masked", {}, "encoder"),
        ("lstm", "span_corruption", {}, "prefix or encoder_decoder"),
        ("gpt2", "span_corruption", {}, "prefix or encoder_decoder"),
        ("bert", "causal", {}, "decoder or prefix or lstm"),
        ("gpt2", "causal", {"next_sentence": True}, "only the masked objective"),
        ("gpt2", "causal", {"mean_span_length": 3.0}, "only the masked or span_corruption objective"),
        ("gpt2", "causal", {"corruption_rate": 0.3}, "only the masked or span_corruption objective"),
        ("prefix", "span_corruption", {"separate_documents": True}, "only the causal or prefix or masked"),
        ("bert", "masked", {"separate_documents": True, "next_sentence": True}, "changes nothing"),
        ("bert", "masked", {"corruption_rate": 0.003}, "cannot hide"),
        ("t5", "span_corruption", {"mean_span_length": 60.0}, "cannot hide"),
        ("t5", "prefix", {"separate_documents": True}, "one stack"),
        ("bert", "masked", {"corruption_rate": 1.5}, "between 0 and 1"),
        ("bert", "masked", {"corruption_rate": float("nan")}, "between 0 and 1"),
        ("bert", "masked", {"mean_span_length": 0.5}, "at least 1"),
        ("bert", "masked", {"mean_span_length": float("nan")}, "at least 1"),
        ("t5", "span_corruption", {"mean_span_length": float("inf")}, "at least 1"),
        ("t5", "diffusion", {}, "causal, prefix"),
    ],
)
def test_what_cannot_be_is_refused(preset: str, kind: str, options: dict[str, Any], told: str) -> None:
    with pytest.raises(DesignError, match=told) as raised:
        example_builder(preset, kind, **options)
    assert raised.value.expected
    assert raised.value.got
    assert raised.value.cure


def test_more_sentinels_than_the_vocabulary_holds() -> None:
    shape = ModelShape(layers=1, width=8, heads=1, context=512, vocabulary=20, decoder_context=512, **PRESETS["t5"])  # type: ignore[arg-type]
    with pytest.raises(DesignError, match="more sentinels than the vocabulary holds"):
        Objective(kind="span_corruption").check(shape)
