from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from foretoken.checks.conventions import (
    MODELS,
    WATERFALL,
    Convention,
    LargestModel,
    _best,
    _entry,
    _line,
    _waterfall,
    conventions,
    count_compute,
    count_sizes,
)
from foretoken.checks.waterfall import draw_waterfall
from foretoken.compute.flops import training_flops
from foretoken.compute.parameters import count_parameters
from foretoken.compute.shape import ModelShape
from foretoken.fits.rows import clean_rows
from foretoken.laws import CHINCHILLA, PUBLISHED
from foretoken.runs.table import RunTable

LAW = PUBLISHED["besiroglu_2024"].parameters


def decoders(vocabulary: int = 32_000) -> RunTable:
    """Noise-free runs of Besiroglu's law on decoders of 1M to 1B parameters, five lengths each."""
    rows = []
    for width in (64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536):
        shape = ModelShape(
            layers=max(2, width // 64), width=width, heads=width // 32, context=1024, vocabulary=vocabulary, tied=False
        )
        count = count_parameters(shape)
        for ratio in np.geomspace(2, 200, 5):
            tokens = ratio * count.total
            rows.append(
                {
                    "params_total": count.total,
                    "params_non_embedding": count.non_embedding,
                    "params_embedding": count.embedding,
                    "params_head": count.head,
                    "layers": shape.layers,
                    "width": width,
                    "context": 1024,
                    "tokens": tokens,
                    "flops": training_flops(shape, tokens),
                    "loss": float(CHINCHILLA.evaluate(LAW, params=count.total, tokens=tokens)),
                }
            )
    return RunTable(pd.DataFrame(rows).astype(float), "a test")


def test_the_count_of_total_parameters_with_6nd_gives_the_laws_own_exponent() -> None:
    found = conventions(decoders())
    exponent = {(entry.params, entry.compute): entry.exponent for entry in found.entries}
    truth = LAW["beta"] / (LAW["alpha"] + LAW["beta"])
    assert exponent["total", "6 N D total"] == pytest.approx(truth, abs=0.002)


def test_leaving_embeddings_out_raises_the_exponent_towards_kaplans_and_the_waterfall_shows_it() -> None:
    found = conventions(decoders())
    exponents = [step.exponent for step in found.waterfall]
    assert len(found.waterfall) == 5
    assert exponents[0] is not None
    assert exponents[0] > 0.6
    assert all(step.change is not None for step in found.waterfall[1:])
    assert exponents[0] + sum(step.change or 0 for step in found.waterfall) == pytest.approx(exponents[-1])
    lines = draw_waterfall(found.waterfall)
    assert len(lines) == 5
    assert lines[0].count("█") > lines[2].count("█")


def test_a_small_vocabulary_makes_the_conventions_agree() -> None:
    def spread(vocabulary: int) -> float:
        exponents = [entry.exponent for entry in conventions(decoders(vocabulary), draws=50).entries]
        return max(exponents) - min(exponents)

    assert spread(64) < 0.25 * spread(32_000)


def test_only_what_the_columns_allow_is_counted_and_the_rest_is_named(ladder: Callable[..., RunTable]) -> None:
    found = conventions(ladder(noise=0.003))
    assert {(entry.params, entry.compute) for entry in found.entries} == {
        ("total", "as recorded"),
        ("total", "6 N D total"),
    }
    assert {"N non_embedding", "N with_head", "N active"} <= set(found.absent)
    assert all(entry.interval[0] < entry.exponent < entry.interval[1] for entry in found.entries)


def test_a_table_without_a_law_has_a_reason_and_no_numbers(ladder: Callable[..., RunTable]) -> None:
    table = ladder()
    found = conventions(RunTable(table.frame.head(4), "a test"))
    assert not found.entries
    assert "too_few_runs" in (found.reason or "")


# counts by hand


def two_runs() -> pd.DataFrame:
    """Two decoders: embeddings of 100 x 10, heads as large, and 12 layers x width^2 inside."""
    return pd.DataFrame(
        {
            "params_total": [3200.0, 8800.0],
            "params_non_embedding": [1200.0, 4800.0],
            "params_embedding": [1000.0, 2000.0],
            "params_head": [1000.0, 2000.0],
            "tokens": [1e5, 2e5],
            "flops": [2e9, 1e10],
            "loss": [3.0, 2.5],
            "layers": [1.0, 1.0],
            "width": [10.0, 20.0],
            "context": [32.0, 32.0],
        }
    )


def test_counts_of_parameters_are_sums_of_their_columns() -> None:
    sizes = count_sizes(two_runs())
    assert {name: values.tolist() for name, values in sizes.items()} == {
        "non_embedding": [1200, 4800],
        "with_head": [2200, 6800],
        "with_embedding": [2200, 6800],
        "total": [3200, 8800],
    }
    assert "active" in count_sizes(two_runs().assign(params_active=1.0))
    gap = two_runs().assign(params_head=[1000.0, None])
    assert set(count_sizes(gap)) == {"non_embedding", "with_embedding", "total"}


def test_counts_of_compute_by_hand() -> None:
    frame = two_runs()
    rows = clean_rows(RunTable(frame, "a test"))
    compute = count_compute(frame, rows)
    assert compute["as recorded"].tolist() == [2e9, 1e10]
    assert compute["6 N D non_embedding"].tolist() == [6 * 1200 * 1e5, 6 * 4800 * 2e5]
    assert compute["6 N D total"].tolist() == [6 * 3200 * 1e5, 6 * 8800 * 2e5]
    # 6 (N with its head) and 6 layers x width x context for attention, per token
    assert compute["with attention"].tolist() == [(6 * 2200 + 6 * 320) * 1e5, (6 * 6800 + 6 * 640) * 2e5]
    assert "with attention" not in count_compute(frame.drop(columns="context"), rows)
    without_head = count_compute(frame.drop(columns="params_head"), rows)
    assert without_head["with attention"].tolist() == [(6 * 3200 + 6 * 320) * 1e5, (6 * 8800 + 6 * 640) * 2e5]


def test_lines_between_sizes_go_on_beyond_both_ends() -> None:
    at = _line(np.array([0.0, 0.0, 1.0, 3.0]), np.array([1.0, 3.0, 4.0, 5.0]))  # two runs of the first size
    np.testing.assert_allclose(at(np.array([0.0, 0.5, 1.0, 2.0, 3.0])), [2, 3, 4, 4.5, 5])
    np.testing.assert_allclose(at(np.array([-1.0, 5.0])), [0, 6])
    alone = _line(np.array([2.0]), np.array([7.0]))
    np.testing.assert_allclose(alone(np.array([1.0, 2.0, 4.0])), [6, 7, 9])  # one size: as if in proportion


@pytest.mark.parametrize(("share", "per"), [(1.0, 6.0), (0.5, 6.0), (1.0, 2.0), (0.25, 8.0)])
def test_a_count_in_proportion_moves_the_prefactor_and_not_the_exponent(share: float, per: float) -> None:
    N = np.geomspace(1e7, 1e10, 9)
    rows = clean_rows(
        RunTable(pd.DataFrame({"params_total": N, "tokens": 20 * N, "loss": 3.0 - 0.01 * np.log(N)}), "a test")
    )
    theta = np.repeat(CHINCHILLA.theta(LAW)[None], 3, axis=0)
    entry = _entry(rows, theta, "counted", share * N, "C", per * N * 20 * N, 0.9)
    assert CHINCHILLA.optimum is not None
    assert entry.exponent == pytest.approx(LAW["beta"] / (LAW["alpha"] + LAW["beta"]), abs=1e-3)
    assert entry.interval == pytest.approx([entry.exponent] * 2)  # all draws are the estimate
    assert entry.largest.flops == pytest.approx(per * 20 * 1e20)
    best = CHINCHILLA.optimum(LAW, entry.largest.flops, per)[0]
    assert entry.largest.params == pytest.approx(share * best, rel=1e-3)
    assert entry.prefactor * entry.largest.flops**entry.exponent == pytest.approx(entry.largest.params, rel=0.01)


def test_a_model_that_pays_for_more_than_its_parameters_is_searched_on_the_same_surface() -> None:
    """The best model at one C, against a search over all sizes with the same FLOP per token."""
    models = np.linspace(np.log(1e6), np.log(1e11), MODELS)
    per_token = np.log(6 * np.exp(models) + 1e8)  # a part that does not grow with N
    budget = np.log(1e21)
    at = np.exp(_best(CHINCHILLA.theta(LAW)[None], models, per_token, budget, models)[0])
    sizes = np.geomspace(1e6, 1e11, 200_001)
    loss = CHINCHILLA.evaluate(LAW, params=sizes, tokens=1e21 / (6 * sizes + 1e8))
    assert at == pytest.approx(sizes[loss.argmin()], rel=2e-3)


def test_the_waterfall_takes_its_steps_in_order_and_leaves_out_what_is_not_there() -> None:
    largest = LargestModel(flops=1e21, params=1e9)
    entries = [
        Convention("total", "as recorded", 0.5, [0.4, 0.6], 1.0, largest),
        Convention("total", "6 N D total", 0.55, [0.4, 0.6], 1.0, largest),
        Convention("non_embedding", "6 N D non_embedding", 0.7, [0.6, 0.8], 1.0, largest),
        Convention("total", "6 N D non_embedding", 0.1, [0.0, 0.2], 1.0, largest),
    ]
    steps = _waterfall(entries)
    assert [step.exponent for step in steps] == [0.7, 0.55, 0.5]
    assert [step.change for step in steps] == [None, pytest.approx(-0.15), pytest.approx(-0.05)]
    assert [step.name for step in steps] == [WATERFALL[k][0] for k in (0, 2, 4)]
    assert _waterfall([]) == []


def test_conventions_are_written_as_plain_values_with_every_pair(ladder: Callable[..., RunTable]) -> None:
    written = conventions(ladder(noise=0.003), draws=50).to_json()
    assert set(written) == {"entries", "waterfall", "surface", "absent", "reason"}
    assert written["surface"] == "params_total"
    assert [entry["compute"] for entry in written["entries"]] == ["as recorded", "6 N D total"]
    assert set(written["entries"][0]["largest"]) == {"flops", "params"}
