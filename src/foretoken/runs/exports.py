"""Tables as trackers of experiments write them: W&B (its API's export and its page's), and any nested objects.

A W&B export is known by its columns: `config` and `summary` that hold mappings, names that begin with `config.` or
`summary.`, or `Name` beside `State`. Whatever is done to it is said in a sentence.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

from foretoken.bounded import parse_json, require_size
from foretoken.errors import TableError
from foretoken.escapes import for_shell

if TYPE_CHECKING:
    import pandas as pd

LONGEST_CELL = 1_000_000
"""Characters of the longest cell that is read as a mapping."""
CURVES = {
    frozenset({"Wall time", "Step", "Value"}): "a scalar of TensorBoard",
    frozenset({"log_history", "global_step"}): "trainer_state.json of Hugging Face",
}
"""Columns by which the curve of one run is known."""
MOST_ENTRIES = 20
"""Objects of a list that get names of their own."""
NESTED = {"config": "config", "summary": "summary", "summaryMetrics": "summary", "summary_metrics": "summary"}
PREFIXES = ("config.", "summary.")
WANDB_NAMES = {"Name": "run", "name": "run", "State": "status", "state": "status"}
"""Columns of a W&B export, and ours."""
FINISHED = "finished"
STATUS_WORDS = {
    FINISHED: "finished, done, complete, completed, success, succeeded, successful, ok, terminated, ended, published,"
    " inactive",
    "diverged": "diverged, divergent, exploded, nan",
    "failed": "failed, failure, fail, error, errored, crashed, crash, node_fail, boot_fail, out_of_memory, out_of_me,"
    " oom",
    "stopped": "killed, stopped, canceled, cancelled, aborted, interrupted, preempted, preempting, suspended, deleted,"
    " timeout, timed_out, deadline, revoked, paused, skipped, pruned",
    "unfinished": "running, pending, queued, scheduled, unfinished, incomplete, in_progress, created, waiting,"
    " starting, configuring, completing, resumed, requeued, active",
}
"""What W&B, MLflow, SLURM, Ray and Hugging Face call the end of a run, by what it means."""
FAILED = {"failed": "failed", "crashed": "crashed", "diverged": "diverged"}
"""Last parts of the names of columns that are true of such a run, and its status."""
ENDED = ("done", "finished", "completed", "is_done", "is_finished", "success")
"""Last parts of the names of columns that are true of a run that has finished (Ray: `done`)."""
ENDINGS = ("status", "state", "statut", "zustand", "estado", "stato", "статус", "状态")
"""Last parts of the names of columns that say how a run ended."""
NAMED = (("key", "name", "metric", "tag"), ("value", "valueCurrent", "last", "latest"))
"""Keys of the objects of a list that name a value, and of the value: MLflow, Comet."""
OTHER_LANGUAGES = {
    FINISHED: "完成, 已完成, 成功, 完了, 완료, abgeschlossen, fertig, beendet, terminé, terminée, fini, finie,"
    " terminado, terminada, completado, completada, concluído, finito, завершено, готово",
    "failed": "失败, 失敗, 실패, fehlgeschlagen, échoué, échouée, échec, fallido, fallida, fallito, falhou, ошибка",
    "stopped": "中断, 停止, 取消, abgebrochen, interrompu, interrompue, annulé, annulée, cancelado, cancelada,"
    " прервано",
    "unfinished": "运行中, 进行中, 実行中, läuft, en_cours, en_curso, in_corso, выполняется",
}
"""The same in other languages; a word that is in neither is asked about."""
MEANING = {
    word.strip(): ours
    for words_of in (STATUS_WORDS, OTHER_LANGUAGES)
    for ours, words in words_of.items()
    for word in words.split(",")
}


def plain_columns(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """A table with one plain column per value, under our names where a tracker has its own, and what was done to it.

    Raises TableError for the export of a chart, which has no runs in its rows.
    """
    _refuse_chart(frame)
    if not _is_export(frame):
        return _dotted(frame)
    frame = _flatten(frame, {name: NESTED[name] for name in map(str, frame.columns) if _nested(frame, name)})
    short = {str(name): short_name(str(name)) for name in frame.columns}
    count = Counter(short.values())
    rename = {name: other for name, other in short.items() if other != name and count[other] == 1}
    notes = []
    if rename:
        notes.append(
            f"{len(rename)} columns config.* and summary.* (as W&B, Ray write them) are read without that prefix"
        )
    ambiguous = sorted(name for name, other in short.items() if other != name and count[other] > 1)
    if ambiguous:
        notes.append(f"these keep their prefix, since the short name is taken: {', '.join(ambiguous)}")
    frame = frame.rename(columns=rename)
    for theirs, ours in WANDB_NAMES.items():
        if theirs in frame and ours not in frame:
            frame = frame.rename(columns={theirs: ours})
            notes.append(f"`{theirs}` of the export is read as `{ours}`")
    frame, dotted = _dotted(frame)
    return frame, [*notes, *dotted]


def read_endings(frame: pd.DataFrame, source: str, *, look: bool) -> tuple[pd.DataFrame, list[str]]:
    """The frame with words of ours in its column `status`, which is looked for under its other names, too.

    Raises TableError for a word that nobody here knows: whether such runs count is for their owner to say.
    """
    name, notes = "status", list[str]()
    if look:
        before = list(map(str, frame.columns))
        frame, notes = _named_status(frame)
        name = next((old for old, new in zip(before, frame.columns, strict=False) if new == "status"), name)
    if "status" not in frame:
        return frame, notes
    words, read = _read_status(frame["status"], source, name)
    frame = frame.assign(status=words)
    failed, flagged = _flagged(frame) if look and name != "status" else (frame, [])
    # A state may say no more than that a run has ended (Neptune: Inactive), and a flag beside it how.
    both = failed["status"].where((failed["status"] != FINISHED) & (words == FINISHED), words)
    return frame.assign(status=both), [*notes, *read, *flagged]


def _named_status(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The column that says how runs ended under our name: `STATUS`, `info.status`, `sys/state`, with words we know."""
    endings = [name for name in map(str, frame.columns) if _last_part(name) in ENDINGS]
    # A state may be one of a country; the words of other languages are asked about.
    foreign = [name for name in endings if _last_part(name) not in ("status", "state")]
    known = [name for name in endings if frame.columns.is_unique and _word_of(frame[name]).isin(list(MEANING)).any()]
    known = known or (foreign if frame.columns.is_unique else []) or _of_endings(frame)
    if "status" not in frame and not known:
        return _flagged(frame)
    if "status" in frame or len(known) != 1:
        return frame, []
    return frame.rename(columns={known[0]: "status"}), [f"`{known[0]}` is read as `status`"]


def _of_endings(frame: pd.DataFrame) -> list[str]:
    """The one column, whatever it is called, that holds nothing but words for how runs end, of both kinds."""
    found = []
    for name in map(str, frame.columns) if frame.columns.is_unique else ():
        words = {_status_word(cell) for cell in frame[name].dropna().unique()} if _holds_words(frame[name]) else set()
        if words and words <= set(MEANING) and len({MEANING[word] == FINISHED for word in words}) == 2:
            found.append(name)
    return found if len(found) == 1 else []


def _holds_words(column: pd.Series) -> bool:
    filled = column.dropna()
    return len(filled) > 0 and all(isinstance(cell, str) for cell in filled.head(20))


def _dotted(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Columns of objects, or of short lists of them, as columns of their leaves, by dotted names."""
    objects = frame.columns[[str(kind) == "object" for kind in frame.dtypes]] if frame.columns.is_unique else ()
    nested = [name for name in objects if frame[name].map(_is_group).any()]
    if not nested:
        return frame, []
    names = ", ".join(map(str, nested))
    return _flatten(frame, {name: name for name in nested}), [f"the groups {names} are read as columns of dotted names"]


def _refuse_chart(frame: pd.DataFrame) -> None:
    """Raise TableError for what W&B exports of a chart: a column per run, with its least and largest values beside."""
    names = {str(name) for name in frame.columns}
    curve = next((kind for marks, kind in CURVES.items() if marks <= names), None)
    if curve:
        raise TableError(
            f"this is the curve of one run ({curve}): its rows are steps",
            expected="one row per run, with its size (params), its tokens and its final loss",
            got=", ".join(sorted(names)),
            cure="write one row per run, from the last loss of each",
            code="one_run",
        )
    curves = [name for name in names if " - " in name and {f"{name}__MIN", f"{name}__MAX"} <= names]
    if curves:
        raise TableError(
            "this is the export of a W&B chart: a row per step, a column per run",
            expected="one row per run, with its size, its tokens and its final loss",
            got=f"{len(curves)} curves, as {min(curves)!r}",
            cure="export the table of runs (the page Runs, not a panel), or write one row per run",
            code="chart_export",
        )


def _is_export(frame: pd.DataFrame) -> bool:
    names = [str(name) for name in frame.columns]
    page = {"Name", "State"} <= set(names)
    return page or any(name.startswith(PREFIXES) for name in names) or any(_nested(frame, name) for name in names)


def _nested(frame: pd.DataFrame, name: str) -> bool:
    if name not in NESTED:
        return False
    return bool(len(frame)) and isinstance(_mapping(frame[name].iloc[0]), dict)


def _flatten(frame: pd.DataFrame, groups: Mapping[str, str]) -> pd.DataFrame:
    """Each column of `groups` as one column per leaf, named from its prefix on."""
    import pandas as pd

    parts = []
    for name in frame.columns:
        if str(name) not in groups:
            parts.append(frame[[name]])
            continue
        rows = [_leaves(_mapping(cell), groups[str(name)]) for cell in frame[name].map(_numbered)]
        require_size(len(rows), len(set().union(*rows)), f"the group {name}", TableError)
        parts.append(pd.DataFrame(rows, index=frame.index))
    return pd.concat(parts, axis=1)


def _is_group(cell: object) -> bool:
    return isinstance(_numbered(cell), dict)


def _numbered(cell: object) -> object:
    """A list of objects as a mapping from the names that they carry, or of a few from their places, 0 first."""
    if not (isinstance(cell, list) and cell and all(isinstance(part, dict) for part in cell)):
        return cell
    for name, value in product(*NAMED):
        if all({name, value} <= set(part) for part in cell):
            return {str(part[name]): part[value] for part in cell}  # of one name the last counts
    return dict(enumerate(cell)) if len(cell) <= MOST_ENTRIES else cell


def _mapping(cell: object) -> dict[str, Any] | None:
    """A cell that holds a mapping: as such, as JSON, or as Python prints one."""
    if isinstance(cell, dict):
        return cell
    if not isinstance(cell, str) or len(cell) > LONGEST_CELL or not cell.lstrip().startswith("{"):
        return None
    try:
        value = parse_json(cell)
    except ValueError:
        try:  # as Python prints a dict; literal_eval reads data and runs nothing
            value = ast.literal_eval(cell)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None
    return value if isinstance(value, dict) else None


def _leaves(values: Mapping[str, Any] | None, prefix: str) -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"prefix.a.b": 1}; W&B's {"value": 1, "desc": None} is 1."""
    leaves: dict[str, Any] = {}
    for key, value in (values or {}).items():
        # W&B's own config.yaml wraps every setting: {"lr": {"value": 0.1, "desc": None}}.
        if isinstance(value, dict) and "value" in value and set(value) <= {"value", "desc"}:
            value = value["value"]
        value = _numbered(value)
        if isinstance(value, dict):
            leaves |= _leaves(value, f"{prefix}.{key}")
        else:
            leaves[f"{prefix}.{key}"] = value
    return leaves


def short_name(name: str) -> str:
    """A column's name without the prefix of W&B's groups.

    >>> short_name("config.model.n_params")
    'model.n_params'
    """
    return next((name[len(prefix) :] for prefix in PREFIXES if name.startswith(prefix)), name)


def known_as(name: str, names: Sequence[str]) -> str:
    """What a column of a W&B export is called among `names`, which it was read under; the name itself if it is there.

    >>> known_as("State", ["status", "lr"]), known_as("config.lr", ["status", "lr"])
    ('status', 'lr')
    """
    others = (short_name(name), WANDB_NAMES.get(name, ""))
    return name if name in names else next((other for other in others if other in names), name)


def _flagged(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """A column of truth values such as `sys/failed` (Neptune) or `done` (Ray) as a status."""
    for name in map(str, frame.columns) if frame.columns.is_unique else ():
        last = _last_part(name)
        if last not in FAILED and last not in ENDED:
            continue
        words = frame[name].astype(str).str.lower()
        is_bad = words == ("false" if last in ENDED else "true")
        if words.isin(["true", "false"]).all() and is_bad.any():
            ended = is_bad.map({True: FAILED.get(last, "unfinished"), False: FINISHED})
            what = "false" if last in ENDED else "true"
            return frame.assign(status=ended), [f"runs of which `{name}` is {what} are read as not finished"]
    return frame, []


def _last_part(name: str) -> str:
    return re.split(r"[./]", name)[-1].lower()


def _word_of(column: pd.Series) -> pd.Series:
    """Words in lower case with `_` between them; `InProgress` is two, and who cancelled a job (SLURM) is left out."""
    return column.astype(object).map(_status_word, na_action="ignore")


def _status_word(cell: object) -> str:
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", str(cell).strip())
    return re.sub(r"(_by_\w+|\+)$", "", re.sub(r"[\s-]+", "_", parted).lower())


def _read_status(column: pd.Series, source: str, name: str) -> tuple[pd.Series, list[str]]:
    """The words of a status column, `finished` for every word of that meaning, the others in lower case.

    `name` is what its table calls it.
    """
    words = _word_of(column)
    cells = column[words.notna()].astype(str)
    unknown = list(cells[~words[words.notna()].isin(list(MEANING))].value_counts().index)
    if unknown:
        raise _unknown_status(unknown, cells, source, name)
    ended = {word for word in words.dropna() if MEANING[word] == FINISHED}
    if len(ended) > 1:  # Ray has `terminated` for what has finished; beside `completed` it was ended by somebody
        ended.discard("terminated")
    finished = words.map(lambda word: FINISHED if word in ended else word, na_action="ignore")
    renamed = sorted({str(cell) for cell, ours in zip(column, finished, strict=True) if ours == FINISHED != cell})
    return finished, [f"status {', '.join(renamed)} is read as finished"] if renamed else []


def _unknown_status(unknown: Sequence[str], cells: pd.Series, source: str, name: str) -> TableError:
    """The error that asks what words of a status mean, the most frequent first, with what to type for either answer."""
    known = [cell for cell in cells.unique() if MEANING.get(_status_word(cell)) == FINISHED]
    word, keep = unknown[0], f"{name}={'|'.join([*known, unknown[0]])}"
    cure = f"where {word} means that a run has finished: {for_shell('--where', keep, '--map', 'status=')}"
    if known:
        leave = f"{name}!={'|'.join(unknown)}"
        cure += f"; where it has not: {for_shell('--where', leave)}"
    return TableError(
        f"{source}: what does the status {word!r} mean?",
        expected=f"a word for a run that has finished ({STATUS_WORDS[FINISHED]}), or for one that has not",
        got=", ".join(unknown[:8]),
        cure=cure,
        code="unknown_status",
    )
