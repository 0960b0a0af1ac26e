"""Text -> batches: corpora, tokenizers, packing into memory-mapped files, languages of known entropy. No torch."""

from foretoken.data.batches import Text, batch, check_tokens, validation_batches, windows
from foretoken.data.counting import count_phrases
from foretoken.data.packing import find_corpus, prepare_corpus
from foretoken.data.synthetic import ZipfMarkov, language
from foretoken.data.tokenized import TokenizedCorpus, check_corpus, open_corpus

__all__ = [
    "Text",
    "TokenizedCorpus",
    "ZipfMarkov",
    "batch",
    "check_corpus",
    "check_tokens",
    "count_phrases",
    "find_corpus",
    "language",
    "open_corpus",
    "prepare_corpus",
    "validation_batches",
    "windows",
]
