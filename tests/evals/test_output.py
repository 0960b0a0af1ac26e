"""The folder of a model that is trained further: claimed by one training, and left as it was found."""

from __future__ import annotations

from pathlib import Path

import pytest

from foretoken.errors import StoreError
from foretoken.evals.output import LOCK, UNFINISHED, check_apart, claim_folder


def contents(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_claim_that_ends_leaves_nothing(tmp_path: Path) -> None:
    with claim_folder(tmp_path / "new", "abc") as work:
        (work / "checkpoint").write_text("x")
        assert contents(tmp_path / "new") == [
            UNFINISHED,
            *(f"{UNFINISHED}/{name}" for name in ("abc", "abc/checkpoint", LOCK)),
        ]
    assert not (tmp_path / "new").exists()


def test_a_folder_that_was_there_stays(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    with claim_folder(tmp_path / "new", "abc"):
        pass
    assert contents(tmp_path) == ["new"]


def test_a_stopped_training_keeps_its_checkpoints_and_only_it_resumes(tmp_path: Path) -> None:
    def train() -> None:
        with claim_folder(tmp_path / "new", "abc") as work:
            (work / "checkpoint").write_text("x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train()
    with pytest.raises(StoreError, match=r"(?s)in use.*got: unfinished/abc.*same options"):
        claim_folder(tmp_path / "new", "other").__enter__()
    with claim_folder(tmp_path / "new", "abc") as work:
        assert (work / "checkpoint").read_text() == "x"


def test_a_stopped_training_without_a_checkpoint_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), claim_folder(tmp_path / "new", "abc"):
        raise KeyboardInterrupt
    assert not (tmp_path / "new").exists()


def test_two_trainings_at_a_time_are_refused(tmp_path: Path) -> None:
    with (
        claim_folder(tmp_path / "new", "abc"),
        pytest.raises(StoreError, match=r"(?s)another process trains.*one at a time"),
    ):
        claim_folder(tmp_path / "new", "abc").__enter__()


def test_a_folder_of_something_else_is_in_use(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(StoreError, match=r"(?s)in use.*got: thesis\.txt"):
        claim_folder(tmp_path, "abc").__enter__()
    assert contents(tmp_path) == ["thesis.txt"]


@pytest.mark.parametrize(
    ("new", "source", "text"),
    [
        ("a", "a", "t"),
        ("a/b", "a", "t"),
        ("a", "a/b", "t"),
        ("t", "a", "t"),
        ("t/../a/./b", "a", "t"),
    ],
)
def test_a_new_folder_apart_from_model_and_text(new: str, source: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"(?s)overlap.*a separate folder"):
        check_apart(tmp_path / new, tmp_path / source, tmp_path / text)
    check_apart(tmp_path / "new", tmp_path / source, tmp_path / text)
    check_apart(tmp_path / f"{source}-more", tmp_path / source, tmp_path / text)
