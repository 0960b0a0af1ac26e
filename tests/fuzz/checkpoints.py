"""Checkpoints of which the newest is not what was written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from foretoken.errors import ForetokenError

from . import samples
from .mutations import ODD, damaged, edited, json_text
from .planting import PLANTS, plant


@st.composite
def checkpoints(draw: Callable[[Any], Any]) -> dict[str, bytes | str]:
    """Two checkpoints of which the newest is damaged, exchanged, or names what is outside."""
    files: dict[str, bytes | str] = dict(samples.checkpoint_files())
    newest = max(name.split("/")[0] for name in files)
    name = draw(st.sampled_from(sorted(name for name in files if name.startswith(newest))))
    content = files[name]
    assert isinstance(content, bytes)
    action = draw(st.sampled_from(["damage", "damage", "damage", "pickle", "header", "plant", "marks", "edit"]))
    if action == "damage":
        files[name] = draw(damaged(content))
    elif action == "pickle":
        files[name] = b"\x80\x04\x95\x1e\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94."
    elif action == "header":
        files[name] = (2 ** draw(st.sampled_from([27, 33, 60, 63]))).to_bytes(8, "little") + content[8:]
    elif action == "plant":
        files[name] = draw(st.sampled_from(PLANTS))
    elif action == "edit" and name.endswith(".json"):
        files[name] = json_text(draw(edited(json.loads(content)))).encode()
    else:
        marks = json.loads(files[f"{newest}/commit.json"])
        other = draw(st.sampled_from(["../../outside.txt", "/dev/zero", "a\0b", "", ".", "..", "x" * 5000]))
        files[f"{newest}/commit.json"] = json_text(marks | {other: draw(ODD)}).encode()
    return files


def read_checkpoint(files: dict[str, bytes | str], folder: Path) -> None:
    """The newest intact checkpoint: never the damaged one, and nothing but what was written."""
    import torch

    from foretoken.training.checkpoint import latest_checkpoint

    plant(folder / "trunk", files)
    found, troubles = latest_checkpoint(folder / "trunk")
    sound = samples.checkpoint_files()
    newest = max(name.split("/")[0] for name in sound)
    contents = [name for name in sound if name.startswith(newest) and not name.endswith("commit.json")]
    assert found is not None
    assert found.step == 10 or all(files.get(name) == sound[name] for name in contents), "a damaged one was loaded"
    assert torch.equal(found.tensors["weight"], torch.full((4, 3), float(found.step)))
    if found.step == 10:
        raise ForetokenError("; ".join(troubles) or "passed over")
