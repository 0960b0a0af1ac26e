"""The text that the tests of training share, and losses that spike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from foretoken.data import TokenizedCorpus, prepare_corpus
from foretoken.objectives.loss import losses
from foretoken.runs.corpus_section import CorpusSection, LanguageSection
from foretoken.training import loop


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> TokenizedCorpus:
    language = LanguageSection(symbols=32, tokens=300_000)
    return prepare_corpus(CorpusSection(source="zipf_markov", language=language), tmp_path_factory.mktemp("corpora"), 0)


@pytest.fixture
def spoil(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[int, float]], list[int]]:
    """Multiply the losses of the batches at these places of the order; gives a list of the places read."""

    def set_factors(factors: dict[int, float]) -> list[int]:
        places: list[int] = []
        read = loop.batch

        def counted(*arguments: Any, step: int, **more: Any) -> Any:
            places.append(step)
            return read(*arguments, step=step, **more)

        def spoiled(network: Any, examples: Any) -> tuple[torch.Tensor, None]:
            return losses(network, examples)[0] * factors.get(places[-1], 1.0), None

        monkeypatch.setattr(loop, "batch", counted)
        monkeypatch.setattr(loop, "losses", spoiled)
        return places

    return set_factors
