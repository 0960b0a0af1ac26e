"""Abilities that were reported to emerge: as printed, and what a compute reaches."""

from __future__ import annotations

import pytest

from foretoken.compute.abilities import ABILITIES, CAREFUL, abilities_at
from foretoken.errors import ForetokenError


@pytest.mark.parametrize(
    ("name", "flops", "params", "model"),
    [
        ("three_digit_addition", 2.3e22, 13e9, "GPT-3"),
        ("mmlu_57", 3.1e23, 175e9, "GPT-3"),
        ("toxicity", 1.3e22, 7.1e9, "Gopher"),
        ("mmlu_30", 5.0e23, 70e9, "Chinchilla"),
        ("word_in_context", 2.5e24, 540e9, "PaLM"),
        ("scratchpad_addition", 8.9e19, 40e6, "LaMDA"),
        ("p_true", 2.6e23, 52e9, "Anthropic"),
        ("ask_me_anything", 1.4e22, 6e9, "EleutherAI"),
    ],
)
def test_rows_as_printed(name: str, flops: float, params: float, model: str) -> None:
    """Wei et al. 2022, table 1."""
    row = ABILITIES[name]
    assert (row.flops, row.params, row.model) == (flops, params, model)


def test_the_table_is_whole() -> None:
    assert len(ABILITIES) == 22
    assert sum(row.prompting == "few-shot" for row in ABILITIES.values()) == 9
    assert {row.prompting for row in ABILITIES.values()} == {"few-shot", "augmented"}
    assert len({row.ability for row in ABILITIES.values()}) == 22
    assert all(row.reference[-5:].strip("ab")[-4:].isdigit() for row in ABILITIES.values())


@pytest.mark.parametrize("name", ABILITIES)
def test_compute_and_size_belong_together(name: str) -> None:
    """The printed FLOP are 6 N D of some 300B tokens, of 1.4T for Chinchilla, of fewer for partly trained models."""
    assert 1e11 < ABILITIES[name].tokens < 1.5e12


@pytest.mark.parametrize(
    ("flops", "reached"), [(1e19, 0), (8.9e19, 1), (2.2e22, 4), (2.3e22, 5), (3.14e23, 17), (5.76e23, 21), (1e26, 22)]
)
def test_a_compute_reaches_those_of_no_more(flops: float, reached: int) -> None:
    rows = abilities_at(flops)
    assert sum(row.reached for row in rows) == reached
    assert [row.flops for row in rows] == sorted(row.flops for row in rows)
    assert all(row.reached == (row.flops <= flops) for row in rows)


@pytest.mark.parametrize("flops", [0.0, -1.0, float("nan"), float("inf")])
def test_what_is_no_compute_is_refused(flops: float) -> None:
    with pytest.raises(ForetokenError):
        abilities_at(flops)


def test_the_warning_names_the_counter_argument() -> None:
    assert any("Schaeffer et al. 2023" in words for words in CAREFUL)
    assert any("not ability" in words for words in CAREFUL)


def test_an_unknown_ability_is_told_the_nearest() -> None:
    with pytest.raises(ForetokenError, match="mmlu_57"):
        ABILITIES.find("mmlu57")
