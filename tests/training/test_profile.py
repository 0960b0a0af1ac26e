"""The profile of a step, and what a process sets up for itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from foretoken.data import prepare_corpus
from foretoken.runs.corpus_section import CorpusSection, LanguageSection
from foretoken.training import profile as module
from foretoken.training.torch_setup import float32_products, medium_is_exact

from .small import SHORT as SPEC


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_phases_and_operations_make_up_a_step(precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.2)
    language = LanguageSection(symbols=32, tokens=300_000)
    corpus = prepare_corpus(CorpusSection(source="zipf_markov", language=language), tmp_path, 0)
    times = module.profile(replace(SPEC, precision=precision), corpus.folder)
    assert list(times.phases) == ["data", "forward", "loss", "backward", "clipping", "optimizer"]
    assert min(times.phases.values()) > 0
    assert times.tokens_per_second == pytest.approx(256 / times.seconds_per_step)
    assert times.share_of_peak > 0
    shares = [operation.share for operation in times.operations]
    assert shares == sorted(shares, reverse=True)
    assert 0 < sum(shares) <= 1


def test_products_in_float32_keep_their_last_bits_and_the_setting_goes_back() -> None:
    before = torch.get_float32_matmul_precision()
    generator = torch.Generator().manual_seed(0)
    left, right = torch.randn(200, 300, generator=generator), torch.randn(300, 100, generator=generator)
    exact = left.double() @ right.double()
    with float32_products():
        off = (left @ right - exact).abs().max().item()
        assert torch.get_float32_matmul_precision() == ("medium" if medium_is_exact() else "highest")
    rounded = (left.bfloat16().double() @ right.bfloat16().double() - exact).abs().max().item()
    assert off < rounded / 100
    assert torch.get_float32_matmul_precision() == before
