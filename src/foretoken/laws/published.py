"""Coefficients that papers published, with all their digits and their conventions."""

from __future__ import annotations

from typing import NamedTuple


class Published(NamedTuple):
    """One published fit of a law."""

    law: str
    parameters: dict[str, float]
    counting: str
    """What N includes."""
    source: str


PUBLISHED: dict[str, Published] = {
    "hoffmann_2022_tex": Published(
        "chinchilla",
        {"E": 1.69337368, "A": 406.401018, "B": 410.722827, "alpha": 0.33917084, "beta": 0.2849083},
        "with embeddings",
        "Hoffmann et al. 2022, arXiv 2203.15556, equation 10 with the digits of its LaTeX source",
    ),
    "besiroglu_2024": Published(
        "chinchilla",
        {"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658},
        "with embeddings",
        "Besiroglu et al. 2024, arXiv 2404.10102, table of estimates from 240 points",
    ),
}
