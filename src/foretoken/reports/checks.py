"""A fit's doubts in words: what was seen, and what cures it."""

from __future__ import annotations

from foretoken.fits.result import Check
from foretoken.reports.elements import Html, element

SEVERITIES = {"note": "Note", "doubt": "Doubt", "refused": "Refused"}


def checks_list(checks: list[Check]) -> Html:
    """Each check as severity, evidence, cure and code."""
    if not checks:
        return element("p", "No check raised a doubt.")
    return element("ul", *(_item(check) for check in checks), class_="checks")


def _item(check: Check) -> Html:
    severity = element("strong", SEVERITIES.get(check.severity, check.severity))
    cure = element("em", f"Cure: {as_sentence(check.cure, capital=False)}")
    return element(
        "li",
        severity,
        ". ",
        as_sentence(check.evidence),
        " ",
        cure,
        " ",
        element("code", check.code),
        class_=check.severity,
    )


def as_sentence(words: str, *, capital: bool = True) -> str:
    """Words with a capital at their start and a full stop at their end; an id keeps its small letter.

    >>> as_sentence("8 runs"), as_sentence("add runs", capital=False), as_sentence("kaplan_2020 is read")
    ('8 runs.', 'add runs.', 'kaplan_2020 is read.')
    """
    named = "_" in words.partition(" ")[0]
    begun = words[:1].upper() + words[1:] if capital and not named else words
    return begun if begun.endswith((".", "!", "?")) else begun + "."
