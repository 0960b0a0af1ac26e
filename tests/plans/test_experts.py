"""Mixtures of experts: their counts, what a law reads of them, equal compute and equal memory."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.errors import ForetokenError
from foretoken.plans.constraints import NO_LIMITS
from foretoken.plans.experts import COUNTS, FEED_FORWARD_SHARE, VALIDITY, Experts, compare_experts, mixtures
from foretoken.plans.loss_model import published
from foretoken.plans.split import allocate

LAW = published("ludziejewski_2025")


@given(st.integers(1, 256), st.integers(1, 256))
def test_some_of_the_experts_are_active(experts: int, active: int) -> None:
    if active > experts:
        with pytest.raises(ForetokenError, match=f"1 to {experts} active experts"):
            Experts(experts, active)
        return
    mixture = Experts(experts, active)
    # A third of a layer is shared; the other two thirds exist `experts / active` times.
    assert mixture.total_per_active == pytest.approx(1 / 3 + 2 / 3 * experts / active)
    assert mixture.total_per_active >= 1


def test_a_mixture_is_read_once_whatever_was_read_before() -> None:
    twice = Experts(8, 2).read_by(Experts(16).read_by(LAW))
    assert twice.other_features["experts"] == 4.0
    assert sum(sentence.startswith("experts = ") for sentence in twice.assumed) == 1
    assert twice.ranges["experts"] == (COUNTS[0], COUNTS[-1])


def test_a_law_that_reads_no_experts_is_refused_with_one_that_does() -> None:
    with pytest.raises(ForetokenError, match="ludziejewski_2025"):
        Experts(8).read_by(published("hoffmann_2022_tex"))


@settings(deadline=None, max_examples=8)
@given(st.floats(19, 23))
def test_at_equal_compute_more_experts_mean_fewer_active_parameters_and_less_loss(power: float) -> None:
    rows = mixtures(10**power)
    assert [row.experts for row in rows] == list(COUNTS)
    for row in rows:
        assert 6 * row.active_params * row.tokens == pytest.approx(10**power, rel=1e-6)
        assert row.gain == pytest.approx(rows[0].loss - row.loss)
        assert row.total_params == pytest.approx(row.active_params * (1 + FEED_FORWARD_SHARE * (row.experts - 1)))
    assert rows[0].gain == pytest.approx(0.0, abs=1e-12)
    losses = [row.loss for row in rows]
    assert losses == sorted(losses, reverse=True)


def test_memory_beyond_what_is_best_changes_nothing() -> None:
    free, roomy = mixtures(1e21, counts=(8,)), mixtures(1e21, counts=(8,), max_total=1e13)
    assert free[0].loss == pytest.approx(roomy[0].loss)


def test_less_memory_never_helps() -> None:
    losses = [mixtures(1e21, counts=(8,), max_total=room)[0].loss for room in (2e10, 1e10, 5e9, 2e9)]
    assert losses == sorted(losses)


def test_a_comparison_holds_the_plans_own_number_of_experts() -> None:
    own = Experts(12, 2)
    model = own.read_by(LAW)
    split = allocate(model, 1e21)
    found = compare_experts(model, own, split, 7e9, NO_LIMITS)
    assert found.total_params == 7e9
    assert [row.experts for row in found.equal_compute] == sorted({*map(float, COUNTS), 6.0})
    mine = next(row for row in found.equal_compute if row.experts == 6.0)
    assert (mine.active_params, mine.loss, mine.gain) == pytest.approx((split.params, split.loss, found.loss_gain))
    assert found.max_total == found.equal_compute[0].total_params
    assert found.validity == VALIDITY


@pytest.mark.parametrize("wrong", [{"counts": ()}, {"counts": (0.5,)}, {"max_total": -1.0}])
def test_counts_and_memory_that_are_none_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ForetokenError):
        mixtures(1e21, **wrong)
