"""What an objective asks of a shape and of the text: windows, hidden tokens, sentinels, the share that predicts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from foretoken.compute.families import FAMILIES
from foretoken.compute.objective import CLS, KINDS, MASK, OPTIONS, PAD, SEP, Objective, families_of, objective_kind
from foretoken.compute.shape import PRESETS, ModelShape
from foretoken.errors import DesignError

PAIRS = [(name, kind) for name, family in FAMILIES.items() for kind in family.objectives]
PRESET_OF = {name: next(p for p in PRESETS if PRESETS[p].get("family", "decoder") == name) for name in FAMILIES}


def shape(family: str, context: int, **choices: Any) -> ModelShape:
    preset = {**PRESETS[PRESET_OF[family]], "heads": 1}
    return ModelShape(**{"layers": 1, "width": 8, "context": context, "vocabulary": 400, **preset, **choices})


@settings(max_examples=80, deadline=None)
@given(pair=st.sampled_from(PAIRS), context=st.integers(12, 200), rate=st.floats(0.05, 0.6), span=st.floats(1, 6))
def test_what_is_hidden_fits_the_sequence(pair: tuple[str, str], context: int, rate: float, span: float) -> None:
    family, kind = pair
    options = {"corruption_rate": rate, "mean_span_length": span} if KINDS[kind].mean_span else {}
    objective, wanted = Objective(kind=kind, **options), shape(family, context)
    if FAMILIES[family].two_stacks:
        wanted = replace(wanted, decoder_context=objective.target_length(context) if objective.hides else context)
    try:
        objective.check(wanted)
    except DesignError:
        assume(False)
    text, hidden, spans = objective.hidden(wanted)
    assert 0 < objective.predicted(wanted) <= 1
    assert objective.window(wanted).stride <= objective.window(wanted).length
    if not objective.hides:
        assert (hidden, spans) == (0, 0)
        return
    assert 1 <= spans <= hidden < text
    assert text - hidden >= spans
    source = text - hidden + spans if objective.corrupts_spans else text
    target = hidden + spans if objective.corrupts_spans and not FAMILIES[family].two_stacks else 0
    assert source + target <= context


@pytest.mark.parametrize("kind", KINDS)
def test_its_special_tokens(kind: str) -> None:
    objective = Objective(kind=kind)
    for family in families_of(kind):
        specials = objective.specials(shape(family, 64))
        assert len(set(specials)) == len(specials)
        assert set(specials) >= ({PAD, CLS, SEP, MASK} if objective.is_masked else set())
        assert (PAD in specials) == (objective.is_masked or FAMILIES[family].two_stacks)
        sentinels = sum(name.startswith("<extra_id_") for name in specials)
        assert sentinels == (objective.hidden(shape(family, 64))[2] + 1 if objective.corrupts_spans else 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_without_an_effect_is_refused(kind: str, option: str) -> None:
    value = {"corruption_rate": 0.3, "mean_span_length": 2.0}.get(option, True)
    if option in KINDS[kind].options:
        assert getattr(Objective(kind=kind, **{option: value}), option) == value
    else:
        with pytest.raises(DesignError, match=f"has {option}"):
            Objective(kind=kind, **{option: value})


@pytest.mark.parametrize("kind", KINDS)
def test_a_pair_of_family_and_objective_is_trained_or_refused_by_name(kind: str) -> None:
    for family in FAMILIES:
        wanted = shape(family, 64)
        if kind in FAMILIES[family].objectives:
            Objective(kind=kind).check(wanted)
        else:
            with pytest.raises(DesignError, match=f"got: family '{family}'"):
                Objective(kind=kind).check(wanted)


def test_a_prefix_of_random_length_leaves_about_half_to_predict() -> None:
    wanted, lengths = shape("prefix", 40), range(1, 40)
    mean = sum(40 - length + 1 for length in lengths) / len(lengths)
    assert Objective(kind="prefix").predicted(wanted) * 40 == pytest.approx(mean)
    assert Objective(kind="causal").predicted(wanted) == 1


def test_a_wrong_name_shows_the_nearest() -> None:
    assert objective_kind("prefix") == "prefix"
    with pytest.raises(DesignError, match="did you mean 'span_corruption'"):
        objective_kind("span-corruption")
