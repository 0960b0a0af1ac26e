"""Text -> batches: corpora, tokenizers, packing into memory-mapped files, languages of known entropy. No torch."""

from foretoken.data.batches import batch, check_tokens, validation_batches, windows
from foretoken.data.packing import find, prepare
from foretoken.data.synthetic import ZipfMarkov, language
from foretoken.data.tokenized import TokenizedCorpus, open_corpus
from foretoken.data.verify import check_corpus

__all__ = [
    "TokenizedCorpus",
    "ZipfMarkov",
    "batch",
    "check_corpus",
    "check_tokens",
    "find",
    "language",
    "open_corpus",
    "prepare",
    "validation_batches",
    "windows",
]
