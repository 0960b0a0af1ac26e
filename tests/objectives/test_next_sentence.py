"""Next-sentence prediction: labels are balanced, and lengths do not tell them."""

from __future__ import annotations

import numpy as np

from foretoken.compute.objective import Objective
from foretoken.compute.shape import PRESETS, ModelShape
from foretoken.objectives import ExampleBuilder, make_examples

CONTEXT, BATCHES, SEQUENCES = 64, 40, 50


def example_builder() -> ExampleBuilder:
    objective = Objective(kind="masked", next_sentence=True)
    shape = ModelShape(
        layers=1,
        width=16,
        heads=2,
        context=CONTEXT,
        vocabulary=1000,
        classes=2,
        **{**PRESETS["bert"], "pooler": True, "token_types": 2},
    )
    objective.check(shape)
    specials = {name: 996 + number for number, name in enumerate(objective.specials(shape))}
    return ExampleBuilder(objective=objective, shape=shape, text_vocabulary=996, specials=specials, separator=0)


def test_lengths_do_not_tell_the_label_and_both_are_as_frequent() -> None:
    """Documents of 2 to 60 tokens: the lengths of a pair are spread alike whether it goes on or not."""
    builder, rng = example_builder(), np.random.default_rng(0)
    length = builder.objective.window(builder.shape).length
    lengths, labels = [], []
    for _ in range(BATCHES):
        text = rng.integers(1, 996, (SEQUENCES, length))
        for row in text:
            ends = np.cumsum(rng.integers(2, 60, 40))
            row[ends[ends < length]] = 0
        found = make_examples(builder, text, rng)
        assert found.labels is not None
        segments = found.inputs["segments"]
        real = found.inputs.get("padding_mask", np.ones_like(segments, dtype=bool))
        lengths.append(np.stack([(real & (segments == 0)).sum(1) - 2, (segments == 1).sum(1) - 1], axis=1))
        labels.append(found.labels)
    first, second = np.concatenate(lengths).T
    label = np.concatenate(labels)
    assert label.mean() == 0.5
    assert first.min() >= 1
    assert second.min() >= 1
    for told in (first == second, first > second, first, second, first + second):
        away, there = told[label == 1].astype(float), told[label == 0].astype(float)
        error = np.sqrt((away.var() + there.var()) / len(away))
        assert abs(away.mean() - there.mean()) < 3.5 * error
