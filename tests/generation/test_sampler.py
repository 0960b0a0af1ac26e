"""The choice of a token: probabilities that are cut as asked, and numbers that only the seed decides."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.errors import ForetokenError
from foretoken.generation.sampler import RandomStreams, SamplingOptions

LOGITS = st.lists(st.floats(-20, 20, width=32), min_size=2, max_size=30)


@settings(max_examples=50, deadline=None)
@given(LOGITS, st.floats(0.1, 3.0), st.integers(0, 40), st.floats(0.01, 1.0))
def test_what_is_drawn_from_is_the_smallest_set_that_was_asked(
    logits: list[float], temperature: float, top_k: int, top_p: float
) -> None:
    found = (
        SamplingOptions(temperature=temperature, top_k=top_k, top_p=top_p)
        .probabilities(torch.tensor([logits]))[0]
        .double()
    )
    assert found.sum().item() == pytest.approx(1.0, abs=1e-5)
    kept = int((found > 0).sum())
    assert 1 <= kept <= (top_k or len(logits))
    plain = (torch.tensor(logits).double() / temperature).softmax(-1)
    cut = plain.sort(descending=True).values[: top_k or len(logits)]
    cut = cut / cut.sum()
    assert cut[: kept - 1].sum() < top_p + 1e-5, "one token less would not do"
    assert kept == len(cut) or cut[:kept].sum() > top_p - 1e-5 or cut[kept] < 1e-30
    assert plain[found > 0].min() >= plain[found == 0].max() - 1e-9 if kept < len(logits) else True


def test_at_temperature_0_the_likeliest_is_certain() -> None:
    found = SamplingOptions(temperature=0, top_k=3, top_p=0.5).probabilities(
        torch.tensor([[1.0, 3.0, 2.0], [5.0, 0.0, 1.0]])
    )
    assert found.tolist() == [[0, 1, 0], [1, 0, 0]]


def test_tokens_come_as_often_as_their_probabilities_say() -> None:
    shares, chance = torch.tensor([[0.5, 0.0, 0.3, 0.2]]), RandomStreams(0, 1)
    drawn = np.bincount([int(chance.draw(shares)) for _ in range(4000)], minlength=4) / 4000
    assert drawn[1] == 0
    assert np.abs(drawn - shares[0].numpy()).max() < 4 * np.sqrt(0.25 / 4000)


def test_the_first_of_many_samples_is_the_only_one() -> None:
    shares = torch.full((1, 1000), 1e-3)
    one, many = RandomStreams(5, 1), RandomStreams(5, 3)
    for _ in range(5):
        drawn = many.draw(shares.repeat(3, 1)).tolist()
        assert drawn[:1] == one.draw(shares).tolist()
        assert len(set(drawn)) == 3
    assert RandomStreams(6, 1).draw(shares).tolist() != RandomStreams(5, 1).draw(shares).tolist()


@pytest.mark.parametrize(
    "values", [{"temperature": -1.0}, {"temperature": float("nan")}, {"top_k": -1}, {"top_p": 0.0}, {"top_p": 1.1}]
)
def test_values_that_cannot_be(values: dict[str, float]) -> None:
    with pytest.raises(ForetokenError, match=f"(?s)invalid value of {next(iter(values))}.*expected"):
        SamplingOptions(**values)
