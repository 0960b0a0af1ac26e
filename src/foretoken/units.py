"""Reading and writing quantities the way people do: "7B" tokens, "1e12 FLOP", "30 days", "$2M", "4 min 10 s"."""

from __future__ import annotations

import math
import re
from numbers import Real

from foretoken.errors import ForetokenError, shown

COUNT_SUFFIXES = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "B": 1e9, "G": 1e9, "T": 1e12}
MONEY_SUFFIXES = {
    "": 1.0, "k": 1e3, "m": 1e6, "million": 1e6, "b": 1e9, "bn": 1e9, "billion": 1e9, "t": 1e12, "trillion": 1e12,
}  # fmt: skip
FLOP_UNITS = {
    "": 1.0,
    "flop": 1.0,
    "flops": 1.0,
    "tflop": 1e12,
    "pflop": 1e15,
    "eflop": 1e18,
    "zflop": 1e21,
    "yflop": 1e24,
    "pf-day": 8.64e19,
    "pf-days": 8.64e19,
    "pf/s-days": 8.64e19,
    "ef-day": 8.64e22,
    "ef-days": 8.64e22,
}
"""FLOP of each unit. A PF-day is a day at 1e15 FLOP/s (Kaplan et al. 2020)."""
HOUR_UNITS = {
    name: hours
    for names, hours in (
        (("ms",), 1 / 3.6e6), (("s", "sec", "second", "seconds"), 1 / 3600), (("min", "minute", "minutes"), 1 / 60),
        (("h", "hr", "hrs", "hour", "hours"), 1.0), (("d", "day", "days"), 24.0), (("w", "week", "weeks"), 168.0),
        (("month", "months"), 730.5), (("y", "year", "years"), 8766.0),
    )
    for name in names
}  # fmt: skip
"""Hours of each unit; a month is a twelfth of a year of 365.25 days."""
LARGEST_NAMED = 0.9995e15
"""Counts from here on have no suffix."""
_QUANTITY = re.compile(r"\s*([-+]?[0-9_]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)\s*([A-Za-z/-]*)\s*")
_MONEY = re.compile(r"\s*(?:\$|USD\b)\s*(.+)|(.+?)\s*(?:\$|\bUSD|\bdollars)\s*", re.IGNORECASE)
_ARTICLE = re.compile(r"\s*(half\s+)?(?:an?|one)\s+", re.IGNORECASE)
LONGEST = 100
"""Characters of a quantity; the pattern takes time that grows with the square of a text that is none."""


def _parse(text: str | float | int, units: dict[str, float], what: str, fold_case: bool, example: str) -> float:
    if isinstance(text, bool):
        raise ForetokenError(f"{what} must be a number", got=shown(text))
    if isinstance(text, Real):
        value = _float(text)
    else:
        match = _QUANTITY.fullmatch(text) if isinstance(text, str) and len(text) <= LONGEST else None
        unit = match.group(2) if match else ""
        key = unit.lower() if fold_case else unit
        if match is None or key not in units:
            known = ", ".join(sorted(unit for unit in units if unit))
            raise ForetokenError(
                f"{what} is not a quantity",
                expected=f"a number with one of these units: {known}",
                got=shown(text),
                cure=f"write for example {example}",
            )
        value = float(match.group(1).replace("_", "")) * units[key]
    if not math.isfinite(value) or value <= 0:
        raise ForetokenError(f"{what} must be a finite number above 0", got=shown(text))
    return value


def _float(number: Real) -> float:
    """A whole number beyond all floats is infinite."""
    try:
        return float(number)
    except OverflowError:
        return math.inf


def parse_count(text: str | float | int, what: str = "count") -> float:
    """Read a count of parameters or tokens: `parse_count("7B") == 7e9`.

    Raises ForetokenError when the text is no positive finite quantity.

    >>> parse_count("2.5M"), parse_count(300)
    (2500000.0, 300.0)
    """
    return _parse(text, COUNT_SUFFIXES, what, fold_case=False, example="2.5M or 7B")


def parse_flops(text: str | float | int, what: str = "compute") -> float:
    """Read an amount of compute, in FLOP (a bare number is FLOP; a PF-day is 8.64e19 FLOP).

    >>> parse_flops("1e21 FLOP"), parse_flops("2 PF-days")
    (1e+21, 1.728e+20)
    """
    return _parse(text, FLOP_UNITS, what, fold_case=True, example="1e21 FLOP or 40 PF-days")


BYTE_UNITS = {
    name.lower(): factor
    for power, letter in enumerate("kMGTP", start=1)
    for name, factor in ((f"{letter}B", 1e3**power), (f"{letter}iB", 1024.0**power))
}
"""Bytes of each unit; a text of distinct tokens is often known by these alone."""
BYTES_PER_TOKEN = 4.0
"""Of English text and tokenizers of 32k to 256k entries, about; a file of code or another language differs."""
_BYTES = re.compile(
    r"\s*(?P<size>[0-9.,_]+(?:e[0-9]+)?\s*[kMGTP]i?B)(?:ytes)?(?:\s+(?:at|with|of)\s+(?P<each>[0-9]+(?:[.][0-9]+)?)\s+(?:bytes?|B)"
    r"\s*(?:per\s+|/\s*|a\s+)token)?\s*",
    re.IGNORECASE,
)


TOKENS_PER_SPEECH_HOUR = 12_000.0
"""Of transcribed English, about: 150 words a minute, 4 tokens for 3 words."""
_SPEECH = re.compile(
    r"\s*(?P<size>[0-9.,_]+(?:e[0-9]+)?\s*[kMBGT]?)\s*h(?:ours?)?\s+of\s+speech"
    r"(?:\s+(?:at|with)\s+(?P<each>[0-9.,_]+[kM]?)\s+tokens\s*(?:per\s+|/\s*|an\s+)h(?:our)?)?\s*"
)


def parse_tokens(text: str | float | int, what: str = "tokens") -> tuple[float, str | None]:
    """Read a number of tokens, the bytes of their text, or hours of speech; then what was taken for one, in words.

    Raises ForetokenError when the text is no positive finite quantity.

    >>> parse_tokens("140B"), parse_tokens("570 GB at 4.5 bytes per token")[0] == 570e9 / 4.5
    ((140000000000.0, None), True)
    >>> parse_tokens("570 GB", "unique")[1]
    'unique = 570 GB at 4 bytes per token, as of English: 142B tokens (say another: "570 GB at 3.5 bytes per token")'
    >>> parse_tokens("680k hours of speech")[0]
    8160000000.0
    """
    if isinstance(text, str) and len(text) <= LONGEST:
        # 140B is tokens: one letter is a count, as everywhere.
        if found := _BYTES.fullmatch(text):
            return _tokens_of_bytes(found, what)
        if found := _SPEECH.fullmatch(text):
            return _tokens_of_speech(found, what)
    return parse_count(text, what), None


def _tokens_of_speech(found: re.Match[str], what: str) -> tuple[float, str]:
    size = found["size"].strip().replace(",", "")
    hours = parse_count(size, f"hours of speech of {what}")
    each = parse_count(found["each"].replace(",", ""), "tokens per hour") if found["each"] else TOKENS_PER_SPEECH_HOUR
    other = f' (say another: "{size} hours of speech at 9000 tokens per hour")'
    assumed = "" if found["each"] else ", as of English at 150 words a minute"
    words = f"{what} = {size} hours of speech at {each:g} tokens per hour{assumed}: {format_count(hours * each)} tokens"
    return hours * each, words + ("" if found["each"] else other)


def _tokens_of_bytes(found: re.Match[str], what: str) -> tuple[float, str]:
    size = found["size"].strip().replace(",", "")
    each = float(found["each"]) if found["each"] else BYTES_PER_TOKEN
    if not each > 0:
        raise ForetokenError("the bytes of a token must be above 0", got=shown(found.string))
    tokens = _parse(size, BYTE_UNITS, what, fold_case=True, example="570 GB") / each
    other = f' (say another: "{size} at 3.5 bytes per token")'
    assumed = "" if found["each"] else f", as of English: {format_count(tokens)} tokens{other}"
    return tokens, f"{what} = {size} at {each:g} bytes per token{assumed or f': {format_count(tokens)} tokens'}"


def parse_hours(text: str, what: str = "time") -> float:
    """Read a time, in hours; the unit must be said.

    Raises ForetokenError when the text is no positive finite time.

    >>> parse_hours("30 days"), parse_hours("90 min"), parse_hours("a week"), parse_hours("half an hour")
    (720.0, 1.5, 168.0, 0.5)
    """
    if isinstance(text, str) and len(text) <= LONGEST:
        text = _ARTICLE.sub(lambda found: "0.5 " if found[1] else "1 ", text)
    return _parse(text, HOUR_UNITS, what, fold_case=True, example="30 days or 12 h")


def parse_usd(text: str | float | int, what: str = "price") -> float:
    """Read an amount of US dollars; a bare number is dollars.

    Raises ForetokenError when the text is no positive finite amount.

    >>> parse_usd("$2M"), parse_usd("4,600,000 USD"), parse_usd(1.5)
    (2000000.0, 4600000.0, 1.5)
    """
    if isinstance(text, str) and len(text) <= LONGEST:
        text = text.replace("-$", "$-")
        match = _MONEY.fullmatch(text)
        text = (match.group(1) or match.group(2)) if match else text
        text = text.replace(",", "")
    return _parse(text, MONEY_SUFFIXES, what, fold_case=True, example="$2M or 1500 USD")


def format_count(value: float) -> str:
    """Write a count with three digits and a suffix.

    Beyond what a suffix names, and below 1, the number stands as it is written in powers of ten.

    >>> format_count(1_234_567), format_count(950), format_count(7e9), format_count(3e18), format_count(0.04)
    ('1.23M', '950', '7.00B', '3e18', '0.04')
    """
    if abs(value) >= LARGEST_NAMED or 0 < abs(value) < 1:
        return f"{value:.3g}".replace("e+", "e")
    for suffix, unit in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= unit * 0.9995:
            scaled = value / unit
            digits = 2 if abs(scaled) < 9.995 else 1 if abs(scaled) < 99.95 else 0
            return f"{scaled:.{digits}f}{suffix}"
    return f"{value:.0f}"


def format_times(factor: float, digits: int = 2) -> str:
    """Write a factor with so many digits, in powers of ten where it is beyond what anybody builds.

    >>> format_times(24.6), format_times(99.7), format_times(3e7), format_times(0.42), format_times(1234.5, 3)
    ('25', '100', '10^7', '0.42', '1234')
    """
    if factor >= 1e5 or 0 < factor < 1e-4:
        return f"10^{math.log10(factor):.0f}"
    return f"{factor:.0f}" if factor >= 10**digits - 0.5 else f"{factor:.{digits}g}"


def format_flops(value: float) -> str:
    """Write compute with three digits: the exponent without sign or zeros.

    >>> format_flops(1.5e12)
    '1.50e12 FLOP'
    """
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{mantissa}e{int(exponent)} FLOP"


def format_usd(value: float) -> str:
    """Write dollars with three digits: `format_usd(4.6e6) == "$4.60M"`.

    >>> format_usd(4.6e6), format_usd(518.4)
    ('$4.60M', '$518')
    """
    return f"${format_count(value)}"


def format_duration(seconds: float) -> str:
    """Write a duration in the two largest units that matter.

    >>> format_duration(4.21), format_duration(250), format_duration(90_000)
    ('4.2 s', '4 min 10 s', '1 d 1 h')
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"
