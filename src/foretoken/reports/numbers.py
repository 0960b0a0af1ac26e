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
    return f"{float(value):.{digits}f}".replace("-", "−")  # type: ignore[arg-type]


def significant(value: object, digits: int = 3) -> str:
    """A number with so many significant digits; powers of ten where it is very large or small.

    >>> significant(0.34871), significant(482.01, 4), significant(12846.0, 4), significant(999.9), significant(1.2e-7)
    ('0.349', '482.0', '12850', '1000', '1.2·10⁻⁷')
    """
    if missing(value):
        return MISSING
    size = float(value)  # type: ignore[arg-type]
    if size and not 1e-3 <= abs(size) < 1e5:
        return power(size, digits - 1)
    # Rounded first: 999.9 to three digits is 1000, which has one digit more before the point.
    size = float(f"{size:.{digits}g}")
    if abs(size) >= 10**digits:
        return f"{size:.0f}".replace("-", "−")
    return f"{size:#.{digits}g}".rstrip(".").replace("-", "−")


def power(value: object, digits: int = 2) -> str:
    """A number as mantissa and power of ten.

    >>> power(1.25e11), power(2e12), power(1e18)
    ('1.25·10¹¹', '2·10¹²', '10¹⁸')
    """
    if missing(value):
        return MISSING
    mantissa, exponent = f"{float(value):.{digits}e}".split("e")  # type: ignore[arg-type]
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    raised = "10" + str(int(exponent)).translate(_SUPERSCRIPT)
    return raised if mantissa == "1" else f"{mantissa}·{raised}".replace("-", "−")


def count(value: object) -> str:
    """A count with a suffix: 123k, 1.23M."""
    return MISSING if missing(value) else format_count(float(value))  # type: ignore[arg-type]


def percent(value: object, digits: int = 1, *, signed: bool = False) -> str:
    """A fraction as a percentage.

    >>> percent(0.0123), percent(0.5, 0), percent(-0.004, signed=True)
    ('1.2\u202f%', '50\u202f%', '−0.4\u202f%')
    """
    if missing(value):
        return MISSING
    return f"{100 * float(value):{'+' if signed else ''}.{digits}f}\u202f%".replace("-", "−")  # type: ignore[arg-type]


def factor(value: object) -> str:
    """A ratio: ×8.0."""
    return MISSING if missing(value) else f"×{float(value):.3g}"  # type: ignore[arg-type]


def interval(bounds: object, digits: int = 3) -> str:
    """Two bounds in brackets; a dash when there are none."""
    if not isinstance(bounds, list | tuple) or any(missing(bound) for bound in bounds):
        return MISSING
    return f"[{', '.join(significant(bound, digits) for bound in bounds)}]"
