"""Running a study: whatever trains its runs, foretoken's loop or a command of the user's."""

from __future__ import annotations

from pathlib import Path

from foretoken.arguments import named_arguments
from foretoken.launchers import Launcher
from foretoken.runs.study_file import Study
from foretoken.study.bucket_copy import BucketCopy
from foretoken.study.own_runner import OwnStudyRunner
from foretoken.study.progress import ProgressListener
from foretoken.study.runner import StudyRunner
from foretoken.study.study_status import StudyStatus, status
from foretoken.study.trackers import tracked


@named_arguments
def run(
    study: Study,
    folder: str | Path | None = None,
    listener: ProgressListener | None = None,
    command: str = "",
    launcher: Launcher | None = None,
) -> StudyStatus:
    """Run a study, or go on with it from wherever it was stopped; gives what `status` gives at the end.

    `command` is what the report says was typed; `launcher` is what trains, by default the one that the study's
    `launch.kind` names. Raises StudyBusyError while another process runs it, CorpusError and DesignError before
    anything is trained, MissingExtraError where there is no torch to train with, RefusedError when the small runs give
    no usable forecast. With `launch.bucket` also StoreError and MissingExtraError for one that cannot be
    written.
    """
    runner = study_runner(study, folder, listener, command, launcher)
    try:
        open_bucket(runner)
        is_copied = runner.copy.holds()
        if not (is_copied and runner.is_finished()):
            runner.require("training")
            with runner.owned():
                # What another machine has finished meanwhile is here by now.
                if is_copied or not runner.is_finished():
                    runner.listener = tracked(runner.listener, runner.folder, study.name, study.launch.trackers)
                    runner.run()
    finally:
        runner.listener.close()
    return status(runner.folder)


def open_bucket(runner: StudyRunner) -> StudyRunner:
    """The same runner; where its study has a bucket, what it writes is that of the study in the bucket, and goes there.

    Raises StoreError, before anything is written, for a bucket that cannot be listed, read or written.
    """
    if runner.study.launch.bucket:
        runner.copy = BucketCopy(runner.study, runner.folder, lambda told: runner.listener.note(told))
    return runner


def study_runner(
    study: Study,
    folder: str | Path | None = None,
    listener: ProgressListener | None = None,
    command: str = "",
    launcher: Launcher | None = None,
) -> StudyRunner:
    """The stages of a study, by what trains its runs; see `run` for the arguments."""
    kind = OwnStudyRunner if study.trainer else StudyRunner
    return kind(study, folder, listener, command, launcher)
