"""design.json of a study's folder: the planned runs, and the settings and the corpus that they follow from."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from foretoken.data.tokenized import CorpusSummary
from foretoken.designs import Design
from foretoken.errors import StoreError
from foretoken.launchers.jobs import ThreadSpeed
from foretoken.runs.study_file import Study
from foretoken.store.atomic import write_file
from foretoken.store.format import format_json, read_format_json

NAME = "design.json"
REMAKE = "run the study again: it will be made anew"


@dataclass(frozen=True)
class ThreadChoice:
    """With how many threads the target is trained: measured once, before its forecast was frozen."""

    threads: int
    measured: list[ThreadSpeed]

    @classmethod
    def from_json(cls, choice_json: Mapping[str, Any]) -> ThreadChoice:
        """The inverse of `dataclasses.asdict`."""
        return cls(int(choice_json["threads"]), [ThreadSpeed.from_json(one) for one in choice_json["measured"]])


@dataclass(frozen=True, kw_only=True)
class DesignFile:
    """What design.json holds."""

    study: Study
    """The settings of the study file, as they were when the study was last run."""
    corpus: CorpusSummary | None
    """None with an own trainer, whose command reads what it trains on."""
    design: Design
    command: str = ""
    """What was typed to run the study."""
    target_threads: ThreadChoice | None = None
    """None until it is measured, and where the study file says it."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        settings = {"study": self.study.model_dump(), "corpus": self.corpus_json}
        chosen = {"target_threads": asdict(self.target_threads)} if self.target_threads else {}
        return {**settings, **self.design.to_json(), "command": self.command, **chosen}

    @property
    def corpus_json(self) -> dict[str, Any] | None:
        """What the corpus is, and where it is from."""
        return {"source": self.study.corpus.source, **self.corpus.to_json()} if self.corpus else None

    @classmethod
    def from_json(cls, plan_json: Mapping[str, Any]) -> DesignFile:
        """The inverse of `to_json`; KeyError, TypeError, ValueError or AttributeError for what is no design."""
        corpus_json = plan_json["corpus"]
        summary = corpus_json and {name: value for name, value in corpus_json.items() if name != "source"}
        return cls(
            study=Study.model_validate(plan_json["study"]),
            corpus=CorpusSummary(**summary) if summary else None,
            design=Design.from_json(plan_json),
            command=str(plan_json.get("command", "")),
            target_threads=ThreadChoice.from_json(chosen) if (chosen := plan_json.get("target_threads")) else None,
        )

    def covers(self, other: DesignFile) -> bool:
        """Whether it holds all of another plan; it may hold more runs, which re-centring has added."""
        mine, others = self.design, other.design
        settled = (self.study, self.corpus, self.command) == (other.study, other.corpus, other.command)
        settled = settled and self.target_threads == other.target_threads
        known = {run.key: run for run in mine.runs}
        return settled and mine.target == others.target and all(known.get(run.key) == run for run in others.runs)


def read_design_file(folder: Path) -> DesignFile | None:
    """What the folder plans; None before there is a plan. Raises StoreError when it is damaged."""
    path = folder / NAME
    if not path.is_file():
        return None
    plan_json = read_format_json(path)
    try:
        return DesignFile.from_json(plan_json)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(f"{path} is no design", got=repr(error), cure=REMAKE) from error


def started_design(folder: Path) -> DesignFile:
    """As `read_design_file`; raises StoreError where no study has been started."""
    kept = read_design_file(folder)
    if kept is None:
        raise StoreError(f"no study has been started in {folder}", expected="a folder with design.json")
    return kept


def usable_design(folder: Path) -> DesignFile | None:
    """As `read_design_file`; None also where it is damaged or another version's: it can be made again."""
    with suppress(StoreError):
        return read_design_file(folder)
    return None


def write_design_file(folder: Path, plan: DesignFile) -> None:
    """Write design.json, in the place of one that is there."""
    write_file(folder / NAME, format_json(plan.to_json()))


def read_design(folder: Path) -> Design | None:
    """The design that a study's folder keeps; None before there is one. Raises StoreError when it is damaged."""
    kept = read_design_file(folder)
    return kept.design if kept else None


def chosen_threads(folder: Path, study: Study) -> ThreadChoice | None:
    """The choice that the folder keeps; None where none was made, or it was made for other runs."""
    kept = _design_of(folder, study)
    return kept.target_threads if kept else None


def designed_threads(folder: Path, study: Study) -> int:
    """The target's threads by the design that the folder keeps; 0 where it has none, or one of other runs."""
    kept = _design_of(folder, study)
    return kept.design.target.threads if kept else 0


def _design_of(folder: Path, study: Study) -> DesignFile | None:
    kept = usable_design(folder)
    apart = {"launch", "forecast", "name"}  # sections that change no run
    same = kept is not None and kept.study.model_dump(exclude=apart) == study.model_dump(exclude=apart)
    return kept if same else None
