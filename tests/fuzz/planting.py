"""Files, and what may stand in the place of one: links, pipes, folders."""

from __future__ import annotations

import os
from pathlib import Path

PLANTS = ["link to a file", "link to a folder", "dangling link", "loop", "pipe", "folder", "foreign"]


def plant(folder: Path, files: dict[str, bytes | str]) -> None:
    """Write files; a text names what is planted instead of one."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content == "pipe":
            os.mkfifo(path)
        elif content in ("folder", "foreign"):
            path.mkdir()
            (path / "foreign.txt").write_text("foreign")
        else:
            leads = {"link to a file": folder.parent.parent / "outside.txt", "link to a folder": folder.parent.parent,
                     "dangling link": folder.parent.parent / "new", "loop": path}  # fmt: skip
            path.symlink_to(leads[content])
