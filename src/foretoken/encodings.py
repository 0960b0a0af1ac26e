"""What a text that is not UTF-8 may be encoded in, for the cure of the error that says so."""

from __future__ import annotations

import re
from itertools import pairwise

CANDIDATES = {
    "gb18030": r"[\u4e00-\u9fff\u3000-\u303f\uff00-\uffef]",
    "cp932": r"[\u3040-\u30ff\u4e00-\u9fff\u3000-\u303f\uff00-\uffef\u2460-\u2473]",
    "cp949": r"[\uac00-\ud7a3\u3000-\u303f]",
    "big5": r"[\u4e00-\u9fff\u3000-\u303f\uff00-\uffef]",
    "cp1251": r"[\u0410-\u044f\u0401\u0451«»–—№]",
    "cp1252": r"[À-ÖØ-öø-ÿŒœßŠšŽžŸ°²³µ·×–—‘’‚“”„‹›«»…†‡•€£¥¢§¶ ©®™ªº¿¡±¼½¾]",
}
"""Encodings as Python names them, and the letters beyond ASCII that a text in each has."""
SURE = 0.9
"""Share of the letters beyond ASCII that must be of the encoding's own."""
KANA = re.compile(r"[\u3040-\u309f\u30a0-\u30ff]")
COMMON_HAN = re.compile(
    "[的一是不了人在有我他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可里]"
)
"""Most frequent characters of Chinese: a wrong encoding of East Asia gives rare ones."""


def likely_encodings(data: bytes) -> list[str]:
    """Encodings in which some bytes are text, the likeliest first; where none is, cp1252 or latin-1.

    >>> likely_encodings("Paramètres, été".encode("cp1252"))[0], likely_encodings("これは本です".encode("cp932"))[0]
    ('cp1252', 'cp932')
    """
    scores = {}
    for name, letters in CANDIDATES.items():
        # The bytes may end inside a character.
        texts = (_decoded(data[: len(data) - cut], name) for cut in range(3))
        text = next((text for text in texts if text is not None), None)
        beyond = [letter for letter in text or "" if letter > "\x7f"]
        share = sum(bool(re.match(letters, letter)) for letter in beyond) / max(1, len(beyond))
        if beyond and share >= SURE:
            scores[name] = _plausible(name, data, "".join(beyond))
    return sorted(scores, key=lambda name: -scores[name]) or [
        "cp1252" if any(0x80 <= byte < 0xA0 for byte in data) else "latin-1"
    ]


def _decoded(data: bytes, name: str) -> str | None:
    try:
        return data.decode(name)
    except UnicodeDecodeError:
        return None


def _plausible(name: str, data: bytes, beyond: str) -> float:
    """How likely bytes are a text in an encoding whose letters they can be."""
    high = [byte > 0x7F for byte in data]
    # In Latin script letters beyond ASCII stand alone among others; in all other scripts they follow each other.
    alone = sum(pair == (True, True) for pair in pairwise(high)) < sum(high) / 2
    # Small letters of Cyrillic lie from 0xE0 on; first bytes of Chinese and Korean hardly do.
    small = sum(byte >= 0xE0 for byte in data) > 0.6 * sum(high)
    frequent, kana = len(COMMON_HAN.findall(beyond)) / len(beyond), len(KANA.findall(beyond)) / len(beyond)
    scores = {"cp1252": 0.9 * alone, "cp1251": 0.85 * (small and not alone), "cp949": 0.8, "cp932": 0.1 + 2 * kana}
    return scores.get(name, 0.2 + 2 * frequent)
