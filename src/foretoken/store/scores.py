"""Scores of a study's runs: one immutable file per run, evaluation and step, and the tasks that they are of.

    evaluations/<digest>.json                         tasks, shots and steps, as they were asked
    evaluations/<sha256>.jsonl                        the labelled examples that copies of networks are tuned on
    evaluations/current.json                          the digest of what the study file asks for, by its last run
    runs/<key>/scores/<digest>-<step>.json            what the run's network scored at that step

They are written before the run's record, as weights are. Other tasks are another digest, and leave what is there.
Scores on the way are settled when those of the end are there, which come last: until then a training that goes back
after a spike drops those of the steps that it will do again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from foretoken.bounded import LARGEST_JSON, read_file, sha256_of
from foretoken.errors import StoreError, shown
from foretoken.runs.spec import RunSpec
from foretoken.runs.task_score import RunScores
from foretoken.store import atomic
from foretoken.store.format import format_json, read_format_json
from foretoken.store.seals import check_seal, sealed
from foretoken.tasks.evaluation import Evaluation
from foretoken.tasks.task import PromptTask

EVALUATIONS, SCORES = "evaluations", "scores"
EXAMPLES, NAME = (".jsonl", ".csv", ".tsv"), 16
"""Endings of files of labelled examples, and digits of the sha256 that names one."""
DIGEST = re.compile(r"[0-9a-f]{16}")
EXAMPLES_NAME = re.compile(rf"{DIGEST.pattern}({'|'.join(map(re.escape, EXAMPLES))})")
"""How files of tasks and of examples are called: others lead out of the folder, or to no file."""
CURRENT = f"{EVALUATIONS}/current.json"
"""Named in a file: times of files are lost in a copy, and a study may go back to tasks that it asked before."""


def evaluation_path(folder: Path, evaluation: str) -> Path:
    """Where the tasks of a digest are."""
    return folder / EVALUATIONS / f"{evaluation}.json"


def evaluation_files(folder: Path) -> list[Path]:
    """The files of tasks, of all that the study was ever scored on."""
    return sorted(path for path in (folder / EVALUATIONS).glob("*.json") if path != folder / CURRENT)


def example_files(folder: Path) -> list[Path]:
    """The files of labelled examples that copies of networks were ever tuned on."""
    found = (folder / EVALUATIONS).glob("*")
    return sorted(path for path in found if path.suffix in EXAMPLES)


def check_examples(path: Path) -> None:
    """Raise StoreError for a file of examples that are not those of its name."""
    if (found := sha256_of(path, StoreError)[:NAME]) != path.stem:
        raise StoreError(f"{path} holds other examples", expected=path.stem, got=found, cure="delete it")


def keep_evaluation(folder: Path, evaluation: Evaluation, examples: Path | None = None) -> None:
    """Write what a study's runs are scored on, with the file of the examples that they are tuned on, as what counts.

    Raises StoreError for a file that cannot be read.
    """
    path = evaluation_path(folder, evaluation.digest)
    if evaluation.tuning and examples and not (beside := path.with_name(evaluation.tuning.file)).is_file():
        atomic.create_file(beside, read_file(examples, StoreError, LARGEST_JSON))
    if not path.is_file():
        atomic.create_file(path, format_json(evaluation.to_json()))
    current, content = folder / CURRENT, format_json({"evaluation": evaluation.digest})
    if not current.is_file() or read_file(current, StoreError, LARGEST_JSON, inside=True) != content:
        atomic.write_file(current, content)


def current_evaluation(folder: Path) -> str:
    """The digest of the tasks that a study was last run with; empty where it was not scored.

    Raises StoreError where that is not told.
    """
    if not (folder / CURRENT).is_file():
        return ""
    digest = read_format_json(folder / CURRENT).get("evaluation")
    if not isinstance(digest, str) or not evaluation_path(folder, digest).is_file():
        told = f"{folder / CURRENT} names no tasks of this study"
        raise StoreError(told, got=str(digest), cure="run the study again")
    return digest


def lost_tasks(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Files that scores rest on and that are gone: tasks, the examples that copies are tuned on, which tasks count.

    With each whether it is of the tasks that the study was last run with, as far as that is known.
    """
    named = {evaluation_named(path) for path in score_files(folder)}
    named |= {evaluation_named(Path(name)) for name in sealed(folder) if f"/{SCORES}/" in name}
    current = ""
    with suppress(StoreError):
        current = str(read_format_json(folder / CURRENT).get("evaluation") or "")
    if named and not (folder / CURRENT).is_file():
        yield folder / CURRENT, True
    for digest in filter(DIGEST.fullmatch, sorted(named)):  # a file of another name is told of as damaged
        paths = [evaluation_path(folder, digest)]
        with suppress(StoreError):  # tasks that are damaged are told of as such
            tuning = read_evaluation(paths[0]).tuning
            paths += [paths[0].with_name(tuning.file)] if tuning else []
        yield from ((path, current in ("", digest)) for path in paths if not path.is_file())


def read_evaluation(path: Path) -> Evaluation:
    """What runs are scored on. Raises StoreError for a file that is damaged, or of other tasks than its name says."""
    try:
        evaluation = Evaluation.from_json(read_format_json(path))
    except TypeError as error:
        raise StoreError(f"{path} is no evaluation of this version", got=str(error), cure="delete it") from error
    if evaluation.digest != path.stem:
        raise StoreError(f"{path} holds other tasks", expected=path.stem, got=evaluation.digest, cure="delete it")
    if evaluation.tuning and not EXAMPLES_NAME.fullmatch(evaluation.tuning.file):
        told = f"{path} names no file of examples beside it"
        raise StoreError(told, expected="its hash and ending", got=shown(evaluation.tuning.file), cure="delete it")
    return evaluation


def tasks_of(folder: Path, evaluation: str) -> tuple[PromptTask, ...]:
    """The tasks of a digest; none of an empty one. Raises StoreError as `read_evaluation` does."""
    return read_evaluation(evaluation_path(folder, evaluation)).tasks if evaluation else ()


def scores_path(folder: Path, run: str, evaluation: str, step: int) -> Path:
    """Where the scores of a run at a step are."""
    return folder / "runs" / run / SCORES / f"{evaluation}-{step:09d}.json"


def score_files(folder: Path, run: str = "*") -> list[Path]:
    """The files of scores of a run, or of all, by step."""
    return sorted((folder / "runs").glob(f"{run}/{SCORES}/*.json"))


def settled_files(folder: Path, run: RunSpec) -> list[Path]:
    """The files of a run's scores on tasks on which its end is scored: its training will not go back any more."""
    return [
        path
        for path in score_files(folder, run.key)
        if scores_path(folder, run.key, evaluation_named(path), run.steps).is_file()
    ]


def drop_unsettled(folder: Path, run: RunSpec, beyond: int) -> None:
    """Delete what a run scored beyond a step to which its training has gone back, on whatever tasks."""
    for path in set(score_files(folder, run.key)).difference(settled_files(folder, run)):
        step = path.stem.rpartition("-")[2]
        if step.isdecimal() and int(step) > beyond:
            atomic.delete_file(path)


def evaluation_named(path: Path) -> str:
    """The digest of the tasks that a file of scores is of, by its name."""
    return path.stem.partition("-")[0]


def put_scores(folder: Path, scores: RunScores) -> None:
    """Write scores, once and for all: whoever comes late leaves those that are there."""
    # Created, never replaced: a worker that was thought dead scores the same bits, and changes nothing.
    path = scores_path(folder, scores.run, scores.evaluation, scores.step)
    atomic.create_file(path, format_json(scores.to_json()))


def read_scores(path: Path, seal: str | None = None) -> RunScores:
    """Scores from their file. Raises StoreError when it is damaged, another run's, or not what was sealed."""
    try:
        scores = RunScores.from_json(read_format_json(path))
    except TypeError as error:
        raise StoreError(f"{path} holds no scores of this version", got=str(error), cure="delete it") from error
    if path != scores_path(path.parents[3], scores.run, scores.evaluation, scores.step):
        raise StoreError(f"{path} holds the scores of another run", got=f"{scores.run}, step {scores.step}")
    check_seal(path, seal, "delete it: foretoken run scores the run again")
    return scores


def lacks_scores(folder: Path, run: RunSpec, evaluation: Evaluation) -> bool:
    """Whether any scores are missing that a run is to have."""
    return not all(scores_path(folder, run.key, evaluation.digest, step).is_file() for step in evaluation.steps(run))


def scores_of(folder: Path, runs: Iterable[str], evaluation: str = "") -> Iterator[RunScores]:
    """The scores of runs, by key and step: of one evaluation, or of all. Raises StoreError as `read_scores` does."""
    seals = sealed(folder)
    for run in runs:
        for path in score_files(folder, run):
            if path.name.startswith(evaluation):
                yield read_scores(path, seals.get(path.relative_to(folder).as_posix()))
