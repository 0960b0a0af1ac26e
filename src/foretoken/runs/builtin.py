"""What comes with the package: studies and a table of runs, by a name that no file in the working folder has."""

from __future__ import annotations

import re
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
SAMPLE = "sample"
"""The table's name: the small runs of the quickstart, trained on two cores."""


def studies() -> dict[str, Path]:
    """Built-in studies by name; a checkout has them beside `src`.

    >>> "quickstart" in studies()
    True
    """
    return {path.stem: path for path in sorted(_folder().glob("*.toml"))}


def family_study(family: str) -> Path | None:
    """The study whose rules were tuned for a family of networks; None where there is none.

    >>> family_study("encoder").name
    'encoder.toml'
    """
    path = _folder() / "families" / f"{family}.toml"
    return path if re.fullmatch("[a-z_]+", family) and path.is_file() else None


def _folder() -> Path:
    inside = PACKAGE / "studies"
    return inside if inside.is_dir() else PACKAGE.parents[1] / "studies"


def study_path(path: Path) -> Path:
    """The file itself, NAME.toml in the working folder or in its `studies/`, or the built-in study of that name.

    >>> study_path(Path("quickstart")).name
    'quickstart.toml'
    """
    if path.exists() or path.suffix or len(path.parts) > 1:
        return path
    beside = path.with_suffix(".toml")
    own = next((file for file in (beside, Path("studies") / beside) if file.is_file()), None)
    return own or studies().get(path.name, path)


def table_path(path: Path) -> Path:
    """The file itself, or the table that comes with the package, for its name."""
    return PACKAGE / "samples" / "quickstart.csv" if str(path) == SAMPLE and not path.exists() else path
