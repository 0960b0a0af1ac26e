"""The tasks that a tokenised corpus was made of, with the number of mentions that its training text really has."""

from __future__ import annotations

from pathlib import Path

from foretoken.data.tokenized import Manifest, read_manifest
from foretoken.errors import StoreError, TaskError
from foretoken.runs.task_section import TaskSection
from foretoken.store import atomic
from foretoken.tasks.made import task_of
from foretoken.tasks.maker import VERSION
from foretoken.tasks.makers import MAKERS
from foretoken.tasks.task import PromptTask

MENTIONS = "mentions.json"
"""Beside the tokens: how often what is asked for stands in the training text, by task. To draw it again is slow."""


def write_mentions(folder: Path, manifest: Manifest) -> None:
    """Count what the tasks of a corpus mention in its training text, and keep it, where any of them counts."""
    documents, seed = _documents(manifest), manifest.settings_json.get("seed", 0)
    makers = {section.title: MAKERS[section.name](section, seed) for section in _sections(manifest)}
    counted = {title: maker.mentions(documents.get(title, 0)) for title, maker in makers.items() if maker.mentions(1)}
    if counted:
        atomic.write_file(folder / MENTIONS, atomic.checksummed_json({"mentions": counted}))


def _read_mentions(folder: Path) -> dict[str, dict[str, int]]:
    """What was kept; empty where nothing was, or it is damaged: it can be counted again."""
    try:
        mentions = atomic.read_checksummed_json(folder / MENTIONS)["mentions"]
        return {str(title): {str(name): int(count) for name, count in of.items()} for title, of in mentions.items()}
    except (StoreError, KeyError, TypeError, ValueError, AttributeError):
        return {}


def _sections(manifest: Manifest) -> list[TaskSection]:
    return [TaskSection.model_validate(options) for options in manifest.settings_json.get("tasks", [])]


def _documents(manifest: Manifest) -> dict[str, int]:
    """Training documents that were made, by task."""
    return {made.task: made.documents for made in manifest.made if made.split == "train"}


def corpus_tasks(folder: Path, *, questions: int = 200) -> list[PromptTask]:
    """The tasks of the tokenised corpus in a folder, with its options and seed; none where it has none.

    Mentions are counted in all training documents, of which a run reads as many times as many as it reads epochs.
    Raises StoreError for a damaged folder, TaskError for text that another version of the maker wrote.
    """
    manifest = read_manifest(folder)
    sections = _sections(manifest)
    if sections and (made_by := manifest.settings_json["tasks_version"]) != VERSION:
        raise TaskError(
            f"the tasks in {folder} were made by another version of foretoken",
            expected=f"text of version {VERSION} of the maker",
            got=str(made_by),
            cure="train again, or score with that version",
        )
    documents, mentions = _documents(manifest), _read_mentions(folder)
    seed = manifest.settings_json.get("seed", 0)
    return [
        task_of(section, seed, questions, documents.get(section.title, 0), mentions.get(section.title))
        for section in sections
    ]
