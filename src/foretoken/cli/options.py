"""Arguments that several verbs share, and how results are printed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foretoken.errors import StoreError

if TYPE_CHECKING:
    from foretoken.runs.study_file import Study

StudyArgument = Annotated[Path, typer.Argument(metavar="STUDY", help="A study file (.toml).")]
FolderArgument = Annotated[Path, typer.Argument(metavar="STUDY", help="A study file (.toml), or a study's folder.")]
SeedOption = Annotated[int | None, typer.Option("--seed", help="Use this seed, in the folder NAME-seed-K.")]
FolderOption = Annotated[Path | None, typer.Option("--folder", help="Keep the study here, not in runs/NAME.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def load(path: Path, seed: int | None = None) -> Study:
    """Read a study file; with another seed than its own, the study gets a name (and so a folder) of its own."""
    from foretoken.runs.study_file import load_study

    study = load_study(path)
    if seed is None or seed == study.seed:
        return study
    return load_study(path, seed=seed, name=f"{study.name}-seed-{seed}")


def folder_of(path: Path, seed: int | None = None, folder: Path | None = None) -> Path:
    """The folder of a study that is given by its file or by the folder itself."""
    if folder is not None:
        return folder
    return path if path.is_dir() else Path("runs") / load(path, seed).name


def started_folder(path: Path, seed: int | None = None, folder: Path | None = None) -> Path:
    """As `folder_of`, but the study must have been started."""
    found = folder_of(path, seed, folder)
    if not (found / "design.json").is_file():
        raise StoreError(
            f"no study has been started in {found}",
            expected="a folder with design.json",
            cure=f"foretoken run {path}" if path.suffix == ".toml" else "give the study's file or folder",
        )
    return found


def print_json(value: Any) -> None:
    """Print plain values as JSON on standard output."""
    typer.echo(json.dumps(value, indent=1, allow_nan=False))
