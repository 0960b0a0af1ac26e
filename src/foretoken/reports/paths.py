"""Paths without the folders that hold them: a page is sent to others, and where a file lay is its maker's affair."""

from __future__ import annotations

import re

ROOT = r"(?:~[\w.-]*[/\\]|[A-Za-z]:[/\\]|/)"
"""How an absolute path begins; a home folder is one too."""
QUOTED = re.compile(rf"""(['"])([^'"\s=]*=)?{ROOT}[^'"\n]*?([^'"\n/\\]*)[/\\]*\1""")
BARE = re.compile(rf"""(?<![\w/\\.:<~^)\]]){ROOT}(?:[^\s'"<>/\\]+[/\\]+)+([^\s'"<>/\\]*)""")


def without_folders(text: str) -> str:
    r"""The text with the last part alone of each absolute path in it.

    >>> without_folders("foretoken fit /home/ann/runs.csv '--html=/home/ann/my pages/fit.html' -o fits/a.json")
    "foretoken fit runs.csv '--html=fit.html' -o fits/a.json"
    >>> without_folders('File "C:\\Users\\ann\\train.py", line 3: A / N^alpha in nats/token')
    'File "train.py", line 3: A / N^alpha in nats/token'

    """
    quoted = QUOTED.sub(lambda found: f"{found[1]}{found[2] or ''}{found[3]}{found[1]}", text)
    return BARE.sub(lambda found: found[1], quoted)
