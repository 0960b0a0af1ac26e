from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from foretoken.abilities.shapes import FAMILIES, PRIOR, shapes_for

PLACES = st.lists(st.floats(0.01, 0.99), min_size=1, max_size=20, unique=True).map(
    lambda inner: np.array([0.0, *sorted(inner), 1.0])
)


@given(PLACES)
def test_every_shape_is_an_average_of_its_levels_within_the_data(u: np.ndarray) -> None:
    weights = shapes_for(u).weights(u)
    assert (weights >= -1e-9).all()
    assert np.allclose(weights.sum(axis=-1), 1.0)


def test_beyond_the_data_shapes_go_on_without_a_jump() -> None:
    shapes = shapes_for(np.linspace(0.0, 1.0, 8))
    before, after = shapes.weights(np.array([1.0])), shapes.weights(np.array([1.0 + 1e-6]))
    assert np.abs(after - before).max() < 1e-3


def test_the_families_share_the_prior_as_said() -> None:
    shapes = shapes_for(np.linspace(0.0, 1.0, 8))
    names = np.array(shapes.family)
    assert np.isclose(sum(PRIOR.values()), 1.0)
    for name in FAMILIES:
        assert np.isclose(np.exp(shapes.log_prior[names == name]).sum(), PRIOR[name])


def test_divided_shapes_share_the_prior_of_the_one_they_are_of() -> None:
    shapes = shapes_for(np.linspace(0.0, 1.0, 8))
    children, parent = shapes.divided()
    share = np.bincount(parent, np.exp(children.log_prior))
    assert np.allclose(share, np.exp(shapes.log_prior))
    counts = dict(zip(shapes.family, np.bincount(parent), strict=True))
    assert {counts[name] for name in ("flat", "linear", "step")} == {1}
    assert {counts[name] for name in ("saturating", "broken", "turning")} == {3}
    assert {counts[name] for name in ("accelerating", "sigmoid")} == {9}
    assert [children.family[k] for k in range(len(children))] == [shapes.family[k] for k in parent]
