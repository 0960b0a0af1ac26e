"""A folder of texts for models to be measured on."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of sixty short texts."""
    home = tmp_path_factory.mktemp("texts")
    for number in range(60):
        lines = (f"{n} bears met {n * n} foxes in wood {number}.\n" for n in range(number, number + 30))
        (home / f"{number}.txt").write_text("".join(lines))
    return home
