"""Recipes: whole batches, rules of papers by hand, and what is settled has a source."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.compute.machine import machine
from foretoken.compute.proportions import Proportions
from foretoken.plans.recipe import FEWEST_STEPS, HELD, SETTLED, WARMUP_SHARE, recipe, serve_request


@settings(deadline=None, max_examples=15)
@given(st.floats(7.5, 11.5), st.floats(9.5, 13), st.integers(1, 64))
def test_a_run_is_whole_batches_of_whole_sequences(size: float, length: float, sequences: int) -> None:
    made = recipe(10**size, 10**length, sequences=sequences)
    batch = made.batch_tokens.value
    assert batch % (made.shape.context * sequences) == 0
    assert made.tokens == made.steps * batch
    assert made.steps >= 2
    if made.steps > 2:
        assert made.tokens == pytest.approx(10**length, abs=batch / 2 + 1)
    assert made.warmup_tokens.value % batch == 0


@settings(deadline=None, max_examples=15)
@given(st.floats(7.5, 11.5), st.floats(9.5, 13))
def test_settings_lie_within_what_their_laws_say(size: float, length: float) -> None:
    made = recipe(10**size, 10**length)
    for setting in (made.batch_tokens, made.learning_rate):
        values = [law.value for law in setting.laws]
        assert setting.spread == [min(values), max(values)]
        assert all(law.source for law in setting.laws)
    assert made.learning_rate.spread[0] <= made.learning_rate.value <= made.learning_rate.spread[1]
    assert made.batch_tokens.value <= max(made.batch_tokens.spread[1], made.shape.context) + made.shape.context


def test_the_step_law_by_hand() -> None:
    """Li et al. 2025: LR = 1.79 N^-0.713 D^0.307, B = 0.58 D^0.571 tokens, N without the vocabulary."""
    made = recipe(1e9, 1e11)
    rates = {law.id: law.value for law in made.learning_rate.laws if law.id.startswith("steplaw")}
    batches = {law.id: law.value for law in made.batch_tokens.laws if law.id.startswith("steplaw")}
    assert list(rates.values()) == pytest.approx([1.79 * made.params_non_embedding**-0.713 * 1e11**0.307])
    assert list(batches.values()) == pytest.approx([0.58 * 1e11**0.571])


def test_a_short_run_keeps_steps_to_act_in() -> None:
    made = recipe(7e10, 1e8)
    assert made.steps >= FEWEST_STEPS * 0.9
    assert "held at" in made.batch_tokens.note
    assert "held at" not in recipe(1e9, 1e12).batch_tokens.note


@pytest.mark.parametrize(("params", "tokens"), [(1e9, 2e10), (1e8, 1e12), (7e10, 1e11)])
def test_the_warm_up_is_the_shorter_of_two(params: float, tokens: float) -> None:
    made = recipe(params, tokens)
    shorter = min(made.params_active, WARMUP_SHARE * tokens)
    assert made.warmup_tokens.value == pytest.approx(shorter, abs=made.batch_tokens.value)
    assert made.warmup_tokens.spread[0] == pytest.approx(shorter)


def test_laws_of_the_batch_that_read_a_loss_are_asked_where_it_is_known() -> None:
    without, with_loss = recipe(1e9, 2e10), recipe(1e9, 2e10, 2.4)
    extra = {law.id for law in with_loss.batch_tokens.laws} - {law.id for law in without.batch_tokens.laws}
    assert any(name.startswith("kaplan_2020") for name in extra)


def test_experts_count_what_a_token_passes() -> None:
    made = recipe(1e9, 2e10, proportions=Proportions(experts=8, active_experts=2))
    assert made.params_active < made.params_total
    assert any(law.id.startswith("ludziejewski") for law in made.learning_rate.laws)
    assert not any(law.id.startswith("ludziejewski") for law in recipe(1e9, 2e10).learning_rate.laws)


def test_what_is_settled_has_its_source() -> None:
    made = recipe(1e9, 2e10)
    assert set(made.settled) == set(made.sources) == set(SETTLED)
    assert all(made.sources.values())


@pytest.mark.parametrize("params", [1e9, 1.3e10, 1e11])
def test_a_model_is_served_on_the_fewest_machines_that_hold_it(params: float) -> None:
    used, made = machine("H100"), recipe(params, 1e12)
    served = serve_request(made, used)
    room = HELD * used.accelerator.memory / 2
    assert math.log2(served.count) % 1 == 0
    assert served.count * room >= made.params_total
    assert served.count == 1 or served.count / 2 * room < made.params_total
