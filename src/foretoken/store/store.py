"""The study's folder: one small immutable file per result, each written whole or not at all.

    runs/quickstart/
        design.json                        the planned runs
        runs/<key>/record.json             one per run; only a failed one is ever replaced
        runs/<key>/weights/                the network, where launch.keep_weights asks for it, see weights.py
        runs/<key>/scores/, evaluations/   what runs score on tasks, and the tasks, see scores.py
        runs/<key>/own/, command.log       what an own trainer's command keeps and prints
        runs/<key>/step-<n>-<attempt>/     checkpoints of a run's own cooldown
        trunks/<key>/step-<n>-<attempt>/   checkpoints of what several runs share, or of a run without a cooldown
        fit.json, approach3.json           the fits of the small runs
        ledger/<name>.json                 forecasts, frozen; <name>.outcome.json what happened
        report/index.html
        calibration.json                   what this machine can do
        finished.json                      written last: the sha256 of all that a finished study rests on
        seals                              the sha256 of each record that stands, from soon after it is written
        attempts/<n>.json                  who runs the study, see lease.py
        pause                              somebody asks whoever runs the study to save and stop
        spent.json                         what the runs have taken, over all attempts
        progress.json, log/                which runs are under way; what workers and launchers write

The run table is a fold over the records; nothing shared is ever appended to. Nobody writes but the newest attempt, and
a late one does no harm: a record is created once and for all, and checkpoints carry the attempt in their name.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Container, Iterable
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, get_args

from foretoken.bounded import LARGEST_JSON, read_file
from foretoken.errors import StoreError
from foretoken.runs.record import RunRecord, RunStatus
from foretoken.runs.spec import KeepWeights, RunSpec
from foretoken.runs.table import RunTable, table_from_records
from foretoken.store import atomic
from foretoken.store.format import FORMAT, format_json, read_format_json
from foretoken.store.lease import check_owner
from foretoken.store.scores import lacks_scores, scores_path, settled_files
from foretoken.store.seals import EDITED, check_seal, sealed, sha256_of, unseal, write_seals
from foretoken.store.weights import are_committed, wants_weights
from foretoken.tasks.evaluation import Evaluation

KEY = r"[0-9a-f]{16}"
CHECKPOINT = rf"step-\d{{9,15}}-\d{{1,9}}(\{atomic.CORRUPT})?"
OWN = "own"
"""The folder of a run that its own trainer's command keeps its files in."""
WEIGHTS = rf"weights(\{atomic.CORRUPT})?"
KNOWN = re.compile(
    rf"""(design|fit|approach3|calibration|finished|progress|spent)\.json(\{atomic.CORRUPT})?
    |evaluations(/(current\.json|{KEY}\.(json|jsonl|csv|tsv))(\{atomic.CORRUPT})?)?
    |seals(\{atomic.CORRUPT})? |pause |attempts(/\d{{9}}\.json)? |log(/.+)? |report(/index\.html)?
    |ledger(/([\w.+-]+\.(json|begun)|seals))?
    |runs(/{KEY}(/(record(-\d+)?\.json(\{atomic.CORRUPT})?|{CHECKPOINT}(/[\w.]+)?|{WEIGHTS}(/[\w.-]+)?
        |scores(/{KEY}-\d{{9,15}}\.json(\{atomic.CORRUPT})?)?|{OWN}|command\.log))?)?
    |trunks(/{KEY}(/{CHECKPOINT}(/[\w.]+)?)?)?""",
    re.VERBOSE,
)
"""Every path that a study's folder may hold. What lies below log/ is the launcher's own affair."""
SUBMISSION = re.compile(r"log/slurm/[\w-]+/\.submission_file_\w+\.sh")
"""A script of submitit's while it is submitted, or a link to it: deleted where its driver was killed meanwhile."""
TOLERATED = re.compile(r"\.DS_Store|\.nfs\w+|Thumbs\.db|desktop\.ini")
"""What file managers and file servers leave in any folder."""

# The files are written with one blank before a key of the record itself and more before those of its parts, and a
# line break within a text is written as \n: so such a beginning is that of a key of the record, and of nothing else.
FORMAT_LINE = b'\n "format": ' + json.dumps(FORMAT).encode() + b",\n"
STATUSES: dict[bytes, RunStatus] = {f'"{status}"'.encode(): status for status in get_args(RunStatus)}
STATUS, LOSS, SPEC = b'\n "status": ', b'\n "loss": ', b'\n "spec": '


class Summary(NamedTuple):
    """What the text of a record tells at a glance."""

    status: RunStatus
    loss: float | None
    """Nats per token."""


class Store:
    """A study's folder. With `attempt` it writes as the owner of that attempt, and only while it is the newest.

    An edited record is refused, unless `mended` asks what is there once `run` has set aside what was edited.
    """

    def __init__(self, folder: str | Path, attempt: int | None = None, *, mended: bool = False) -> None:
        self.folder, self.attempt, self.mended = Path(folder), attempt, mended

    def check_owner(self) -> None:
        """Raise LeaseLostError when a newer attempt has the study."""
        if self.attempt is not None:
            check_owner(self.folder, self.attempt)

    def record_path(self, key: str) -> Path:
        """Where the record of a run is."""
        return self.folder / record_name(key)

    def trunk_folder(self, key: str) -> Path:
        """Where the checkpoints of a trunk (or of a run without one) are."""
        return self.folder / "trunks" / key

    def branch_folder(self, key: str) -> Path:
        """Where the checkpoints of a run's own cooldown are."""
        return self.folder / "runs" / key

    def own_folder(self, key: str) -> Path:
        """Where the command of an own trainer keeps the files of a run."""
        return self.folder / "runs" / key / OWN

    def weights_folder(self, key: str) -> Path:
        """Where the saved weights of a run are."""
        return self.folder / "runs" / key / "weights"

    def lacks_weights(self, run: RunSpec, policy: KeepWeights) -> bool:
        """Whether a run has finished without the weights that `launch.keep_weights` asks for."""
        if not wants_weights(run, policy) or are_committed(self.weights_folder(run.key)):
            return False
        summary = self.summary(run.key, run)
        return summary is not None and summary.status == "finished"

    def lacks_scores(self, run: RunSpec, evaluation: Evaluation | None) -> bool:
        """Whether a run has finished without the scores that `[evaluate]` asks for."""
        if evaluation is None or not lacks_scores(self.folder, run, evaluation):
            return False
        summary = self.summary(run.key, run)
        return summary is not None and summary.status == "finished"

    def can_score_kept(self, run: RunSpec, evaluation: Evaluation | None, policy: KeepWeights) -> bool:
        """Whether all that a run lacks are the scores of its end, and its weights are there to be scored."""
        if evaluation is None or self.lacks_weights(run, policy) or not self.lacks_scores(run, evaluation):
            return False
        on_the_way = evaluation.steps(run)[:-1]
        scored = (scores_path(self.folder, run.key, evaluation.digest, step).is_file() for step in on_the_way)
        return are_committed(self.weights_folder(run.key)) and all(scored)

    def unsettle_scores(self, run: RunSpec, evaluation: Evaluation) -> None:
        """Delete the scores of a run's end where some on its way are gone: it is trained again, and may go back."""
        end = scores_path(self.folder, run.key, evaluation.digest, run.steps)
        if not end.is_file() or not lacks_scores(self.folder, run, evaluation):
            return
        names = [name for name in self.seals if (self.folder / name).parent == end.parent and evaluation.digest in name]
        for name in names:
            self.seals.pop(name, None)
        unseal(self.folder, names)
        atomic.delete_file(end)

    def put_record(self, record: RunRecord) -> bool:
        """Write a record, once and for all; only a failed or damaged one is replaced.

        Whoever comes late changes nothing: True when the record that is there says the same. When it does not, the
        late one is written beside it (`record-<attempt>.json`) and False says that training is not deterministic.
        """
        self.check_owner()
        path, content = self.record_path(record.spec.key), format_json(record.to_json())
        # Created and never replaced: whoever comes second reads the first one's record below and compares.
        if atomic.create_file(path, content):
            return True
        earlier = self.record(record.spec.key)
        if earlier is None or earlier.has_failed:
            atomic.write_file(path, content)
        elif not record.has_failed and not record.agrees(earlier):
            atomic.write_file(path.with_name(f"record-{self.attempt or 0}.json"), content)
            return False
        return True

    @cached_property
    def seals(self) -> dict[str, str]:
        """What vouches for the records: sha256 by path."""
        return sealed(self.folder)

    def seal_records(self, keys: Iterable[str] | None = None) -> None:
        """Seal the records of runs, of all unless they are named. A failed one is not sealed: it may be replaced."""
        found = (path.parent.name for path in (self.folder / "runs").glob("*/record.json"))
        for key in sorted(found if keys is None else keys):
            record, name = self.record(key), record_name(key)
            if record is not None and record.has_failed:
                self.seals.pop(name, None)
            elif record is not None:
                self.seals[name] = sha256_of(self.record_path(key))
            for path in settled_files(self.folder, record.spec) if record else ():
                self.seals.setdefault(path.relative_to(self.folder).as_posix(), sha256_of(path))
        write_seals(self.folder, self.seals)

    def seal(self, path: Path) -> None:
        """Seal a file that was just written."""
        self.seals[path.relative_to(self.folder).as_posix()] = sha256_of(path)
        write_seals(self.folder, self.seals)

    def record(self, key: str) -> RunRecord | None:
        """The record of a run, or None when it has none that is whole.

        Raises StoreError, with the code `edited`, for one that is whole and not the one that was written.
        """
        try:
            return read_record(self.record_path(key), self.seals.get(record_name(key)))
        except StoreError as error:
            if error.code == EDITED and not self.mended:
                raise
            return None

    def summary(self, key: str, planned: RunSpec | None = None) -> Summary | None:
        """Status and loss of a run's record, quicker than `record` where a seal or the planned run vouches for it.

        None when it has none that is whole. Raises as `record` does.
        """
        name = record_name(key)
        quick = quick_summary(os.path.join(self.folder, name), self.seals.get(name), planned)
        if quick is None and (record := self.record(key)):
            return Summary(record.status, record.loss)
        return quick

    def is_done(self, run: RunSpec) -> bool:
        """Whether a run has a record that stands: it has finished, or diverged, which it would do again."""
        summary = self.summary(run.key, run)
        return summary is not None and summary.status != "failed"

    def has_begun(self, run: RunSpec) -> bool:
        """Whether anything of a run has been trained: it has a record that stands, or a checkpoint."""
        folders = (self.trunk_folder(run.trajectory), self.branch_folder(run.key))
        return self.is_done(run) or any(any(folder.glob("step-*")) for folder in folders)

    def records(self, without: Container[str] = ()) -> list[RunRecord]:
        """All records that are whole, ordered by key; `without` those of some keys, which are not read."""
        # A record that is damaged counts as none: the run is trained again, which gives the same bits.
        keys = sorted(path.parent.name for path in (self.folder / "runs").glob("*/record.json"))
        return [record for key in keys if key not in without and (record := self.record(key))]

    def table(self) -> RunTable:
        """The run table of all records."""
        return table_from_records(self.records(), str(self.folder))


def is_key(text: str) -> bool:
    """Whether it may be the key of a run, and so the name of a folder."""
    return re.fullmatch(KEY, text) is not None


def record_name(key: str) -> str:
    """The path of a run's record in its study."""
    return f"runs/{key}/record.json"


def read_record(path: Path, seal: str | None = None) -> RunRecord:
    """Read a record; StoreError when it is missing, damaged, another run's, of another format, or not what was sealed.

    The last one has the code `edited`.
    """
    values = read_format_json(path)
    try:
        record = RunRecord.from_json(values)
    except TypeError as error:
        raise StoreError(f"{path} is no record of this version", got=str(error)) from error
    # A folder that was copied under another key would otherwise be taken for the result of that run.
    if record.spec.key != path.parent.name:
        raise StoreError(f"{path} is the record of another run", expected=path.parent.name, got=record.spec.key)
    check_seal(path, seal)
    return record


def quick_summary(path: str | Path, seal: str | None, planned: RunSpec | None) -> Summary | None:
    """The summary of a record; None where only the whole record can tell, or there is none.

    The seal vouches for the rest of it; without one the spec in it is held against the planned run.
    """
    try:
        content = read_file(path, StoreError, LARGEST_JSON, inside=True)
    except StoreError:
        return None
    try:
        vouched = _is_sealed(content, seal) if seal is not None else _is_of(content, planned)
        if not vouched or content.count(FORMAT_LINE) != 1:
            return None
        status, loss = STATUSES.get(_value(content, STATUS)), _value(content, LOSS)
        return Summary(status, None if loss == b"null" else float(loss)) if status and loss else None
    except (ValueError, RecursionError):  # no record of ours, though its checksum may be right
        return None


def _value(content: bytes, key: bytes) -> bytes:
    """The text of what a key of the record has on its line; empty where the key is not there just once."""
    if content.count(key) != 1:
        return b""
    start = content.index(key) + len(key)
    return content[start : content.index(b"\n", start)].removesuffix(b",")


def _is_sealed(content: bytes, seal: str) -> bool:
    return hashlib.sha256(content).hexdigest() == seal


def _is_of(content: bytes, planned: RunSpec | None) -> bool:
    """Whether a record is as it was written, and its spec that of a run, under whatever label."""
    if planned is None or content.count(SPEC) != 1 or not atomic.is_as_written(content):
        return False
    spec_json = json.JSONDecoder().raw_decode(content[content.index(SPEC) + len(SPEC) :].decode())[0]
    return isinstance(spec_json, dict) and {**spec_json, "group": planned.group} == planned.to_json()
