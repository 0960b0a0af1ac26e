"""Formulas for the loss: pure functions with parameter names, domain and citation.

A new law is one file and one line in `LAWS`.
"""

from foretoken.errors import ForetokenError
from foretoken.laws.chinchilla import CHINCHILLA
from foretoken.laws.coupled import COUPLED
from foretoken.laws.law import Law
from foretoken.laws.power import POWER
from foretoken.laws.published import PUBLISHED, Published

LAWS: dict[str, Law] = {
    "chinchilla": CHINCHILLA,
    "coupled": COUPLED,
    "power": POWER,
}


def find_law(name: str) -> Law:
    """The law of this name; raises ForetokenError with the known ones."""
    if name not in LAWS:
        raise ForetokenError("unknown law", expected=", ".join(LAWS), got=repr(name), cure="choose one with --law")
    return LAWS[name]


__all__ = ["CHINCHILLA", "COUPLED", "LAWS", "POWER", "PUBLISHED", "Law", "Published", "find_law"]
