"""Numbers as the page writes them. A missing number is an em dash, never 0."""

from __future__ import annotations

import math

from foretoken.units import format_count

MISSING = "—"
_SUPERSCRIPT = str.maketrans("-0123456789", "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079")


def missing(value: object) -> bool:
    """Whether there is no number: None or NaN."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def number(value: object, digits: int = 3) -> str:
    """A number with so many digits after the point.

    >>> number(2.43149), number(None), number(-0.2, 1)
    ('2.431', '—', '−0.2')
    """
    if missing(value):
        return MISSING
    # `z`: what rounds to zero has no sign, for "−0.000" would claim one that the digits do not show.
    return f"{float(value):z.{digits}f}".replace("-", "−")  # type: ignore[arg-type]


def significant(value: object, digits: int = 3) -> str:
    """A number with so many significant digits; powers of ten where it is very large or small.

    >>> significant(0.34871), significant(482.01, 4), significant(12846.0, 4), significant(999.9), significant(1.2e-7)
    ('0.349', '482.0', '12850', '1000', '1.2·10⁻⁷')
    """
    if missing(value):
        return MISSING
    size = float(value) + 0.0  # type: ignore[arg-type]
    if size and not 1e-3 <= abs(size) < 1e5:
        return power(size, digits - 1)
    # Rounded first: 999.9 to three digits is 1000, which has one digit more before the point.
    size = float(f"{size:.{digits}g}")
    if abs(size) >= 10**digits:
        return f"{size:.0f}".replace("-", "−")
    return f"{size:#.{digits}g}".rstrip(".").replace("-", "−")


def power(value: object, digits: int = 2) -> str:
    """A number as mantissa and power of ten.

    >>> power(1.25e11), power(2e12), power(1e18), power(0.0)
    ('1.25·10¹¹', '2·10¹²', '10¹⁸', '0')
    """
    if missing(value):
        return MISSING
    size = float(value)  # type: ignore[arg-type]
    if not size or math.isinf(size):
        # Neither has an exponent.
        return f"{size + 0.0:g}".replace("-", "−")
    mantissa, exponent = f"{size:.{digits}e}".split("e")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    raised = "10" + str(int(exponent)).translate(_SUPERSCRIPT)
    return {"1": raised, "-1": f"−{raised}"}.get(mantissa, f"{mantissa}·{raised}".replace("-", "−"))


def count(value: object) -> str:
    """A count with a suffix: 123k, 1.23M."""
    return MISSING if missing(value) else format_count(float(value))  # type: ignore[arg-type]


def percent(value: object, digits: int = 1, *, signed: bool = False) -> str:
    """A fraction as a percentage; what rounds to zero has no sign.

    >>> percent(0.0123), percent(0.5, 0), percent(-0.004, signed=True), percent(-0.0001, signed=True)
    ('1.2\u202f%', '50\u202f%', '−0.4\u202f%', '0.0\u202f%')
    """
    if missing(value):
        return MISSING
    words = f"{100 * float(value):z.{digits}f}"  # type: ignore[arg-type]
    sign = "+" if signed and float(words) > 0 else ""
    return f"{sign}{words}\u202f%".replace("-", "−")


def factor(value: object) -> str:
    """A ratio to three digits.

    >>> factor(8.0), factor(1.5), factor(1234.0), factor(3.2e6)
    ('×8', '×1.5', '×1230', '×3.2·10⁶')
    """
    if missing(value):
        return MISSING
    ratio = float(f"{float(value):.3g}")  # type: ignore[arg-type]
    return f"×{ratio:g}" if 1e-3 <= ratio < 1e5 else f"×{power(ratio)}"


def interval(bounds: object, digits: int = 3) -> str:
    """Two bounds in brackets; a dash when there are none."""
    if not isinstance(bounds, list | tuple) or any(missing(bound) for bound in bounds):
        return MISSING
    return f"[{', '.join(significant(bound, digits) for bound in bounds)}]"
