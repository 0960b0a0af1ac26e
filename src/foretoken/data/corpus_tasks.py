"""The tasks that a tokenised corpus was made of, with the number of mentions that its training text really has."""

from __future__ import annotations

from pathlib import Path

from foretoken.data.tokenized import read_manifest
from foretoken.errors import TaskError
from foretoken.runs.task_section import TaskSection
from foretoken.tasks.made import task_of
from foretoken.tasks.maker import VERSION
from foretoken.tasks.task import PromptTask


def corpus_tasks(folder: Path, *, questions: int = 200) -> list[PromptTask]:
    """The tasks of the tokenised corpus in a folder, with its options and seed; none where it has none.

    Mentions are counted in all training documents, of which a run reads as many times as many as it reads epochs.
    Raises StoreError for a damaged folder, TaskError for text that another version of the maker wrote.
    """
    manifest = read_manifest(folder)
    sections = [TaskSection.model_validate(options) for options in manifest.settings_json.get("tasks", [])]
    if sections and (made_by := manifest.settings_json["tasks_version"]) != VERSION:
        raise TaskError(
            f"the tasks in {folder} were made by another version of foretoken",
            expected=f"text of version {VERSION} of the maker",
            got=str(made_by),
            cure="train again, or score with that version",
        )
    documents = {made.task: made.documents for made in manifest.made if made.split == "train"}
    seed = manifest.settings_json.get("seed", 0)
    return [task_of(section, seed, questions, documents.get(section.title, 0)) for section in sections]
