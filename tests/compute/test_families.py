"""Every family is whole: what a record names exists, and what it lacks is refused by its name."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from foretoken.compute.choices import HEADS
from foretoken.compute.families import FAMILIES, Family, cannot, families_with
from foretoken.compute.objective import KINDS, families_of
from foretoken.compute.proportions import Proportions, shape_of
from foretoken.compute.serving import kv_cache_bytes
from foretoken.compute.shape import PRESETS, ModelShape, preset_family
from foretoken.errors import DesignError
from foretoken.models import NETWORKS

SMALL: dict[str, Any] = {"layers": 2, "width": 32, "heads": 4, "context": 16, "vocabulary": 50}


@pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
def test_what_a_record_names_exists(family: Family) -> None:
    assert FAMILIES[family.name] is family
    assert set(family.objectives) <= set(KINDS)
    assert family.usual_objective in family.objectives
    assert set(family.heads) <= set(HEADS)
    assert set(family.own_fields) <= {field.name for field in fields(ModelShape)}
    assert family.preset is None or preset_family(family.preset) is family


def test_every_family_has_a_network_a_preset_and_an_objective() -> None:
    assert set(NETWORKS) == set(FAMILIES)
    assert {preset_family(preset).name for preset in PRESETS} == set(FAMILIES)
    assert all(families_of(kind) for kind in KINDS)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
def test_a_family_is_planned_in_the_choices_of_its_preset_or_refused_by_name(family: Family) -> None:
    if family.preset is None:
        with pytest.raises(DesignError, match=f"family '{family.name}'"):
            Proportions(family=family.name)
    else:
        shape = shape_of(3e8, Proportions(family=family.name))
        assert shape.family == family.name
        assert shape.activation == PRESETS[family.preset]["activation"]


@pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
def test_a_cache_that_is_not_counted_is_refused_by_name(family: Family) -> None:
    shape = ModelShape(**SMALL, family=family.name)
    if family.cached_per_token is None:
        with pytest.raises(DesignError, match=f"the family '{family.name}' cannot"):
            kv_cache_bytes(shape, 10)
    else:
        assert kv_cache_bytes(shape, 10) == 10 * 2 * 2 * 32 * 2


def test_a_causal_decoder_is_what_published_laws_are_of() -> None:
    assert [family.name for family in FAMILIES.values() if family.causal_decoder] == ["decoder"]
    assert [family.name for family in FAMILIES.values() if not family.generates] == ["encoder"]


def test_a_refusal_names_the_family_and_those_that_can() -> None:
    error = cannot("lstm", "have experts", [FAMILIES[name] for name in families_with("experts")], "take a decoder")
    assert str(error).splitlines() == [
        "the family 'lstm' cannot have experts",
        "  expected: decoder, prefix, encoder, encoder_decoder",
        "  got: family 'lstm'",
        "  cure: take a decoder",
    ]
