"""Study folders that somebody has worked on, through `status`, `fit` and `report`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from foretoken.errors import ForetokenError

from . import samples
from .mutations import damaged, edited, json_text
from .planting import PLANTS, plant
from .verbs import foretoken, strict_json


@st.composite
def study_folders(draw: Callable[[Any], Any]) -> dict[str, bytes | str]:
    """A finished study's files, of which some were edited, damaged, or replaced by links, pipes and folders."""
    files: dict[str, bytes | str] = dict(samples.study_files())
    for _ in range(draw(st.integers(1, 2))):
        name = draw(st.sampled_from(sorted(name for name in files if not name.endswith(".html"))))
        content = samples.study_files().get(name)
        die = draw(st.integers(0, 7))
        if content is None or die == 0:
            plant = draw(st.sampled_from(PLANTS))
            place = draw(st.sampled_from([name, name.split("/")[0], "report", "report/index.html", "foreign.txt"]))
            files = {
                other: kept for other, kept in files.items() if other != place and not other.startswith(f"{place}/")
            }
            files[place] = plant
        elif die == 1 or not name.endswith(".json"):
            files[name] = draw(damaged(content))
        else:
            files[name] = _edited_json(draw, content)
    return files


def _edited_json(draw: Callable[[Any], Any], content: bytes) -> bytes:
    """Edited by hand; where the file has a seal, by somebody who knows how to seal it, every other time."""
    value = json.loads(content)
    seal = isinstance(value, dict) and value.pop("sha256", None)
    text = json_text(draw(edited(value)))
    if not seal:
        return text.encode()
    body = text.removeprefix("{").encode()
    seal = hashlib.sha256(body).hexdigest() if draw(st.booleans()) else seal
    return b'{"sha256": "' + seal.encode() + b'",' + body


def read_folder(files: dict[str, bytes | str], folder: Path) -> None:
    """A study's folder, through `status`, `fit` and `report`."""
    plant(folder / "mini", files)
    refusals = []
    for words in (
        ("status", "mini"),
        ("status", "mini", "--json"),
        ("fit", "mini", "--law", "power"),
        ("report", "mini"),
    ):
        try:
            printed = foretoken(*words)
            if "--json" in words:
                strict_json(printed)
        except ForetokenError as error:
            refusals.append(error)
    page = folder / "mini" / "report" / "index.html"
    if not refusals and page.is_file():
        assert page.read_text().count("<script>") == 1
    if refusals:
        raise refusals[0]
