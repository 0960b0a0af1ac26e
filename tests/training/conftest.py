"""The text that the tests of training share."""

from __future__ import annotations

import pytest

from foretoken.data import TokenizedCorpus, prepare_corpus
from foretoken.runs.corpus_section import CorpusSection, LanguageSection


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> TokenizedCorpus:
    language = LanguageSection(symbols=32, tokens=300_000)
    return prepare_corpus(CorpusSection(source="zipf_markov", language=language), tmp_path_factory.mktemp("corpora"), 0)
