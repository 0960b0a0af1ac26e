"""From a shape and tokens to a run: whole batches, rules by size, precision by the machine, one warm-up per shape."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.compute.parameters import count_parameters
from foretoken.designs import Recipe, TokenSource
from foretoken.designs.recipe import BFLOAT16_WIDTH
from foretoken.errors import CorpusError, DesignError
from foretoken.runs.study_file import Study

SOURCE = TokenSource(address="c0ffee", tokenizer="byte", eval_set="v", vocabulary=256, train_tokens=10**9)
SIZES = st.floats(4, 8).map(lambda exponent: 10**exponent)


def recipe(*, bfloat16: bool = False, **tables: Any) -> Recipe:
    study = Study.model_validate({"name": "t", "design": {"budgets": [1e11]}, **tables})
    return Recipe(study=study, source=SOURCE, torch_version="2.13.0", bfloat16=bfloat16)


@settings(max_examples=30, deadline=None)
@given(params=SIZES, tokens=st.floats(1e4, 1e9))
def test_a_run_is_a_whole_number_of_batches_nearest_to_its_tokens(params: float, tokens: float) -> None:
    plan = recipe()
    spec = plan.spec(plan.nearest_shape(params), tokens, group="g", threads=1)
    assert spec.batch_tokens == 2048
    assert spec.tokens == spec.steps * spec.batch_tokens
    assert abs(spec.tokens - tokens) <= spec.batch_tokens / 2
    assert spec.sequences * spec.shape.context == spec.batch_tokens


@settings(max_examples=30, deadline=None)
@given(params=SIZES, exponent=st.floats(-1.0, 1.0), value=st.floats(1e-5, 1.0))
def test_the_learning_rate_is_the_rule_at_the_active_parameters(params: float, exponent: float, value: float) -> None:
    rule = {"value": value, "at_params": 1e6, "exponent": exponent}
    plan = recipe(training={"learning_rate": rule}, model={"experts": 4, "active_experts": 1})
    shape = plan.nearest_shape(params)
    spec = plan.spec(shape, 1e7, group="g", threads=1)
    count = count_parameters(shape)
    assert count.active < count.total
    assert spec.learning_rate == pytest.approx(value * (count.active / 1e6) ** exponent)


@pytest.mark.parametrize("context", [8, 128, 1000])
@pytest.mark.parametrize("wished", [1, 500, 4096, 5000])
def test_a_batch_is_whole_sequences_and_one_at_least(context: int, wished: int) -> None:
    plan = recipe(training={"batch_tokens": {"value": wished}}, model={"context": context})
    spec = plan.spec(plan.nearest_shape(1e5), 1e6, group="g", threads=1)
    assert spec.batch_tokens % context == 0
    assert spec.sequences == max(1, round(wished / context))


def test_a_batch_rule_grows_with_the_size() -> None:
    plan = recipe(training={"batch_tokens": {"value": 1024, "at_params": 1e5, "exponent": 0.5}})
    for params in (1e5, 4e5, 1.6e6, 6.4e6):
        shape = plan.nearest_shape(params)
        spec = plan.spec(shape, 1e8, group="g", threads=1)
        wished = 1024 * (count_parameters(shape).active / 1e5) ** 0.5
        assert abs(spec.batch_tokens - wished) <= shape.context / 2


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("wished", ["auto", "float32", "bfloat16"])
@pytest.mark.parametrize("width", [BFLOAT16_WIDTH - 64, BFLOAT16_WIDTH])
def test_precision_is_as_wished_or_by_processor_and_width(native: bool, wished: str, width: int) -> None:
    plan = recipe(bfloat16=native, training={"precision": wished}, model={"layers": 2})
    shape = replace(plan.nearest_shape(1e6), width=width, heads=4, feed_forward=4 * width)
    spec = plan.spec(shape, 1e6, group="g", threads=1)
    usual = "bfloat16" if native and width >= BFLOAT16_WIDTH else "float32"
    assert spec.precision == (usual if wished == "auto" else wished)
    assert spec.in_bfloat16 == (spec.precision == "bfloat16")


@pytest.mark.parametrize("steps", [0.4, 1.4])
def test_fewer_than_two_steps_are_refused_with_what_two_would_take(steps: float) -> None:
    plan = recipe()
    shape = plan.nearest_shape(1e5)
    with pytest.raises(DesignError, match="too small for one step") as caught:
        plan.spec(shape, steps * 2048, group="g", threads=1)
    assert caught.value.expected
    assert caught.value.expected.startswith("at least 4096 tokens")
    assert plan.spec(shape, 4096, group="g", threads=1).steps == 2


@settings(max_examples=20, deadline=None)
@given(lengths=st.lists(st.integers(10, 10_000), min_size=2, max_size=6, unique=True), share=st.floats(0.0, 0.5))
def test_one_warm_up_per_shape_by_its_shortest_run(lengths: list[int], share: float) -> None:
    plan = recipe(training={"warmup_share": share})
    small, large = plan.nearest_shape(1e5), plan.nearest_shape(1e6)
    specs = [plan.spec(small, 2048 * steps, group="g", threads=1) for steps in lengths]
    other = plan.spec(large, 2048 * 20_000, group="g", threads=1)
    warmed = plan.with_warmups([*specs, other])
    assert [spec.warmup_tokens for spec in warmed[:-1]] == [round(share * 2048 * min(lengths))] * len(lengths)
    assert warmed[-1].warmup_tokens == round(share * other.tokens)
    assert [spec.tokens for spec in warmed] == [spec.tokens for spec in [*specs, other]]
    assert len({spec.trunk for spec in warmed[:-1]}) == 1


def test_a_warm_up_that_is_known_stays() -> None:
    plan = recipe()
    shape = plan.nearest_shape(1e5)
    spec = plan.spec(shape, 1e6, group="g", threads=1)
    assert plan.with_warmups([spec], known={shape: 777})[0].warmup_tokens == 777


def test_what_a_study_says_is_what_its_runs_have() -> None:
    training = {"schedule": "cosine", "final_learning_rate_share": 0.1, "beta2": 0.99, "clip": 0.5, "dropout": 0.1}
    plan = recipe(seed=5, training=training, corpus={"repeat": True})
    spec = plan.spec(plan.nearest_shape(1e5), 1e6, group="g", threads=3)
    assert {name: getattr(spec, name) for name in training} == training
    assert (spec.seed, spec.threads, spec.repeat, spec.group) == (5, 3, True, "g")
    assert (spec.corpus, spec.tokenizer, spec.eval_set) == ("c0ffee", "byte", "v")
    assert spec.software.endswith("torch 2.13.0")


def test_special_tokens_are_added_to_the_vocabulary() -> None:
    assert recipe().vocabulary == 256
    masked = recipe(model={"preset": "bert"}, objective={"kind": "masked"})
    assert masked.vocabulary == 256 + 4
    known = replace(masked, source=replace(SOURCE, specials={"[PAD]": 3, "[CLS]": 4, "[SEP]": 5, "[MASK]": 6}))
    assert known.vocabulary == 256


def test_documents_without_an_end_cannot_be_kept_apart() -> None:
    plan = recipe(objective={"separate_documents": True})
    with pytest.raises(CorpusError, match="no token ends one"):
        plan.vocabulary  # noqa: B018
    assert replace(plan, source=replace(SOURCE, separator=0)).vocabulary == 256


def test_a_pair_of_sentences_needs_two_sequences() -> None:
    tables: dict[str, Any] = {"model": {"preset": "bert"}, "objective": {"kind": "masked", "next_sentence": True}}
    plan = recipe(**tables, training={"batch_tokens": {"value": 128}})
    with pytest.raises(DesignError, match="next_sentence takes every other"):
        plan.spec(plan.nearest_shape(1e5), 1e6, group="g", threads=1)
    plan = recipe(**tables, training={"batch_tokens": {"value": 256}})
    assert plan.spec(plan.nearest_shape(1e5), 1e6, group="g", threads=1).sequences == 2
