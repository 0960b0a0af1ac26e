from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from foretoken.checks.conventions import conventions
from foretoken.checks.waterfall import draw_waterfall
from foretoken.compute.flops import training_flops
from foretoken.compute.parameters import count_parameters
from foretoken.compute.shape import ModelShape
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
