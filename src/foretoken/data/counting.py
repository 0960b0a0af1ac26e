"""How often phrases stand in a corpus, and in how many of its texts: in one pass over it, or by an index.

Both are exact and agree. A pass reads a corpus of any size once, looking for all phrases at the same time (Aho and
Corasick 1975); it suits one set of phrases, such as the facts of a task. An index takes longer to make, and then
answers for any phrase.

What counts as a match: the same bytes of UTF-8, upper and lower case apart, accents as they are written; matches may
overlap; none reaches from one text into the next. A text is a plain file, a JSON line, or a row.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foretoken.arguments import named_arguments
from foretoken.data.text_index import MANIFEST, WORD, TextIndex, open_index, phrase_bytes, texts_of
from foretoken.errors import CorpusError, needing
from foretoken.results import Result

if TYPE_CHECKING:
    from ahocorasick_rs import BytesAhoCorasick


@dataclass(frozen=True)
class PhraseCount:
    """How often a phrase stands in a corpus."""

    phrase: str
    count: int
    documents: int
    """Texts that hold it."""


@dataclass(frozen=True)
class PairCount:
    """In how many texts two phrases stand together, anywhere in them."""

    first: str
    second: str
    documents: int


@dataclass(frozen=True, kw_only=True)
class PhraseCounts(Result, rows="phrases"):
    """Counts of phrases in a corpus, in the order in which they were asked for."""

    phrases: list[PhraseCount]
    pairs: list[PairCount]
    documents: int
    """All texts of the corpus."""
    words: bool
    """Whether only whole words count."""
    source: str

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "phrases": [vars(one) for one in self.phrases],
            "pairs": [vars(one) for one in self.pairs],
            "documents": self.documents,
            "words": self.words,
            "source": self.source,
        }


@named_arguments
def count_phrases(
    source: str | Path | TextIndex,
    phrases: Iterable[str],
    pairs: Iterable[tuple[str, str]] = (),
    *,
    words: bool = False,
    column: str = "text",
    encoding: str = "utf-8",
) -> PhraseCounts:
    """Count phrases in a corpus, the texts that hold them, and the texts that hold both of a pair.

    Args:
        source: a file or folder of text, which is read once, or an index, as it is or by its folder.
        phrases: what is counted; those of pairs are counted, too.
        pairs: such as what a question is about, and its answer.
        words: count only where no letter, digit or underscore touches the phrase, and nothing beyond ASCII: 7 is then
            not in 17, nor art in party.
        column: the column or key that holds the text, in files that have some.
        encoding: what the files are encoded in.

    Raises CorpusError for text that cannot be read, and for phrases that are empty, hold a NUL, or are too long for an
    index; MissingExtraError without the package that a pass needs.

    """
    pairs = [(str(first), str(second)) for first, second in pairs]
    asked = list(dict.fromkeys([*map(str, phrases), *(phrase for pair in pairs for phrase in pair)]))
    # Whoever has just made an index may have nothing to ask of it yet.
    if not asked and not isinstance(source, TextIndex):
        raise CorpusError("no phrase to count", expected="one or more", cure="give phrases")
    keys = {phrase: phrase_bytes(phrase) for phrase in asked}
    # A folder with a manifest of ours is an index: one of text has none.
    index = source if isinstance(source, TextIndex) else None
    if index is None and (Path(str(source)) / MANIFEST).is_file():
        index = open_index(str(source))
    if index is not None:
        return _by_index(index, asked, pairs, words)
    seen = _Pass(list(keys.values()), [(keys[first], keys[second]) for first, second in pairs], words)
    documents = 0
    for blocks in texts_of(str(source), column, encoding):
        seen.read(blocks)
        documents += 1
    return PhraseCounts(
        phrases=[PhraseCount(one, seen.counts[keys[one]], seen.documents[keys[one]]) for one in asked],
        pairs=[PairCount(*pair, seen.together[keys[pair[0]], keys[pair[1]]]) for pair in pairs],
        documents=documents,
        words=words,
        source=str(source),
    )


def _by_index(index: TextIndex, asked: Sequence[str], pairs: Sequence[tuple[str, str]], words: bool) -> PhraseCounts:
    def holds(phrase: str) -> Any:
        return index.document_mask(phrase, words=words)

    return PhraseCounts(
        phrases=[PhraseCount(one, index.count(one, words=words), int(holds(one).sum())) for one in asked],
        pairs=[PairCount(*pair, int((holds(pair[0]) & holds(pair[1])).sum())) for pair in pairs],
        documents=index.documents,
        words=words,
        source=str(index.folder),
    )


@dataclass
class _Pass:
    """What one pass over a corpus has seen so far."""

    keys: Sequence[bytes]
    pairs: Sequence[tuple[bytes, bytes]]
    words: bool
    counts: Counter[bytes] = field(default_factory=Counter)
    documents: Counter[bytes] = field(default_factory=Counter)
    together: Counter[tuple[bytes, bytes]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        with needing("counting phrases", "tail"):
            from ahocorasick_rs import BytesAhoCorasick, MatchKind
        # Standard matching reports every phrase at every place, also those inside of others.
        self.automaton: BytesAhoCorasick = BytesAhoCorasick(self.keys, matchkind=MatchKind.Standard)
        self.longest = max(map(len, self.keys))
        partners = defaultdict(list)
        for first, second in dict.fromkeys(self.pairs):
            partners[first].append(second)
        self.partners: Mapping[bytes, list[bytes]] = partners

    def read(self, blocks: Iterable[bytes]) -> None:
        """Add a text, which is read block by block."""
        found: set[bytes] = set()
        # What is kept of earlier blocks reaches one byte further than a phrase that has not ended: that byte says
        # whether a word begins with it.
        kept, decided = b"", 0
        for block in blocks:
            window = kept + block
            # The last byte waits for the next block, which says whether a word goes on.
            self._take(window, decided, len(window) - 1, found)
            start = max(0, len(window) - 1 - self.longest)
            kept, decided = window[start:], len(window) - 1 - start
        self._take(kept, decided, len(kept), found)
        self.documents.update(found)
        self.together.update(
            (first, other) for first in found for other in self.partners.get(first, ()) if other in found
        )

    def _take(self, window: bytes, decided: int, until: int, found: set[bytes]) -> None:
        """Count the matches that end behind `decided`, up to `until`."""
        for number, start, end in self.automaton.find_matches_as_indexes(window, overlapping=True):
            if not decided < end <= until or (self.words and self._is_touched(window, start, end)):
                continue
            key = self.keys[number]
            self.counts[key] += 1
            found.add(key)

    def _is_touched(self, window: bytes, start: int, end: int) -> bool:
        before = start > 0 and WORD[window[start - 1]]
        return bool(before or (end < len(window) and WORD[window[end]]))
