"""What names say: of metrics, which way is better and whether there are bounds; of tasks, chance; of columns, both."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

from foretoken.arguments import did_you_mean
from foretoken.errors import ForetokenError, TableError
from foretoken.escapes import for_shell
from foretoken.fits.check import listed, plural
from foretoken.runs.cells import as_word, numbers_in
from foretoken.runs.sources import proposals
from foretoken.runs.table import COLUMNS as SCHEMA

if TYPE_CHECKING:
    import pandas as pd

Better = Literal["up", "down"]


class Metric(NamedTuple):
    """What the name of a metric says."""

    better: Better
    bounded: bool
    """Whether it lies between 0 and 1, or 0 and 100 %."""


UP = Metric("up", True)
DOWN = Metric("down", True)
FALLING = Metric("down", False)
KNOWN: dict[str, Metric] = {
    **dict.fromkeys(
        ("acc", "accuracy", "em", "exact", "match", "f1", "average", "avg", "mean", "score", "bleu", "rouge", "pass",
         "recall", "precision", "auc", "auroc", "correct", "correctness", "mcc", "mc1", "mc2", "quasi", "win", "rate",
         "success", "solve", "solved", "probability", "prob", "p", "pass1", "likelihood", "chrf", "spearman",
         "pearson", "consistency", "grade", "choice"),
        UP,
    ),
    **dict.fromkeys(("err", "error", "errors", "brier", "wer", "cer", "edit", "distance", "ece"), DOWN),
    **dict.fromkeys(
        ("ppl", "perplexity", "loss", "nll", "ce", "xent", "entropy", "bpb", "bpc", "bits", "nats"), FALLING
    ),
}  # fmt: skip
"""By a word of the metric's name; of several, the word that falls counts (`error rate`)."""
OPEN = {"score", "average", "avg", "mean", "rate"}
"""Words that are taken as better upwards, and say so of no score."""
CHANCE = {
    **dict.fromkeys(
        ("winogrande", "winograd", "wsc", "wic", "boolq", "copa", "rte", "piqa", "winogender", "cola", "sst2", "qnli"),
        1 / 2,
    ),
    **dict.fromkeys(("siqa", "cb", "snli", "mnli", "anli", "pubmedqa"), 1 / 3),
    **dict.fromkeys(
        ("hellaswag", "arc", "mmlu", "openbookqa", "openbook", "race", "logiqa", "sciq", "gpqa"), 1 / 4
    ),
    **dict.fromkeys(("commonsenseqa", "csqa", "mathqa", "sat_analogies"), 1 / 5),
    "mmlu_pro": 1 / 10,
    "arc_agi": 0.0,
}  # fmt: skip
"""What guessing reaches in accuracy, by the first words of a task's name: one over the number of choices."""
SHARP = re.compile(r"exact|(^|_)em(_|$)|^acc(uracy)?$|pass|multiple_choice|solve", re.IGNORECASE)
"""Metrics that ask for a whole answer."""
TOKEN = re.compile(
    r"(?<!per_)token|(^|_)p(_|$)|(?<!answer_)(?<!choice_)prob|edit|likelihood|partial|character", re.IGNORECASE
)
"""Metrics of one token, as a share; the probability of a whole answer, or of a choice, is none."""
TOKEN_LOSS = re.compile(r"(^|_)(ce|nll|loss|cross_entropy|xent)(_|$)", re.IGNORECASE)
"""Metrics of one token, in nats."""
PARTIAL = re.compile(
    r"f1|bleu|rouge|chrf|prob|likelihood|token|edit|distance|brier|mcc|auc|recall|precision|spearman|pearson|pass",
    re.IGNORECASE,
)
"""Metrics that give a part of a point for a question; pass@1 of several tries does, too."""
AVERAGE = re.compile(r"(^|_)(average|avg|mean|overall)(_|$)", re.IGNORECASE)
"""Metrics and tasks that are averages of others."""
GUESSED = ("acc", "accuracy", "err", "error", "grade")
"""Words of the metrics that the chance of a task is for."""


def metric_named(name: str) -> Metric | None:
    """What a metric's name says of it; None where no word of it is known.

    >>> metric_named("acc_norm"), metric_named("word perplexity"), metric_named("error rate")
    (Metric(better='up', bounded=True), Metric(better='down', bounded=False), Metric(better='down', bounded=True))
    >>> metric_named("elo")
    """
    found = [KNOWN[word] for word in _words(name) if word in KNOWN]
    return min(found, key=(FALLING, DOWN, UP).index) if found else None


def leaves_direction_open(name: str) -> bool:
    """Whether no word of a metric's name says which way is better: it is unknown, or merely a score or a mean.

    >>> leaves_direction_open("elo"), leaves_direction_open("mean score"), leaves_direction_open("mean error")
    (True, True, False)
    """
    return {word for word in _words(name) if word in KNOWN} <= OPEN


def direction_of(cell: object) -> Better | Literal[""]:
    """What a cell of a column `better` says.

    >>> direction_of("Higher"), direction_of("min"), direction_of("?")
    ('up', 'down', '')
    """
    word = as_word(cell).strip().lower()
    if word in ("up", "higher", "max", "true", "more", "1", "high", "greater", "larger", "maximize", "rising"):
        return "up"
    if word in ("down", "lower", "min", "false", "less", "0", "low", "-1", "smaller", "minimize", "falling"):
        return "down"
    return ""


def asked_direction(word: str) -> Better | Literal[""]:
    """What --better says, "" where it is not given. Raises ForetokenError for a word that says no direction.

    >>> asked_direction("higher"), asked_direction("down"), asked_direction("")
    ('up', 'down', '')
    """
    found = direction_of(word)
    if word and not found:
        known = ("higher", "lower")
        cure = did_you_mean(word, known)
        raise ForetokenError("--better: not known", expected=" or ".join(known), got=repr(word), cure=cure)
    return found


def direction_by_name(column: str) -> Better | None:
    """Which way a column of scores is better, by its name; None where that says nothing.

    >>> direction_by_name("arc_easy/acc,none"), direction_by_name("c4 loss"), direction_by_name("mmlu")
    ('up', 'down', 'up')
    >>> direction_by_name("elo"), direction_by_name("score_elo")
    (None, None)
    """
    parts = score_column(column)
    name = parts[1] if parts else column
    known = metric_named(name)
    return None if known is None or leaves_direction_open(name) else known.better


def chance_of(task: str, metric: str) -> float | None:
    """What guessing scores in a task by this metric, as a fraction; None where it is not known.

    >>> chance_of("winogrande", "acc"), chance_of("hellaswag_zeroshot", "err"), chance_of("triviaqa", "acc")
    (0.5, 0.75, None)
    >>> chance_of("wsc273", "acc")
    0.5
    """
    words = _words(metric)
    if not any(word in GUESSED for word in words):
        return None
    spelled = {"_".join(_words(task)), "_".join(_words(task.lower()))}  # HellaSwag is hellaswag
    spelled |= {re.sub(r"^([a-z]+)\d+", r"\1", one) for one in spelled}  # wsc273: the number of its items
    names = [name for name in CHANCE if any(one == name or one.startswith(f"{name}_") for one in spelled)]
    if not names:
        return None
    share = CHANCE[max(names, key=len)]
    known = metric_named(metric)
    return 1.0 - share if known and known.better == "down" else share


def _words(name: str) -> list[str]:
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)
    return [word for word in re.split(r"[^a-z0-9]+", parted.lower()) if word]


COLUMN_METRICS = (
    "err|error|acc|accuracy|score|em|exact_match|exact_str_match|multiple_choice_grade|f1|ppl|perplexity|brier|acc_norm"
    "|pass@1|word_perplexity|byte_perplexity|bits_per_byte|token_acc|token_accuracy|token_edit_distance|edit_distance"
)
COLUMN_LOSSES = "nll|token_nll|token_loss|answer_loss|answer_nll"
"""Metrics of a task's answers that are scores beside another metric of the same task alone, as a text has them too."""
BENCHMARKS = (
    *(name for name in CHANCE if name not in ("race", "cb", "sat_analogies")),
    *("gsm8k", "truthfulqa", "triviaqa", "naturalqs", "nq", "humaneval", "mbpp", "bbh", "drop", "lambada", "ifeval"),
    *("musr", "math", "agieval", "squad", "coqa", "quac", "webqs", "storycloze", "cmmlu", "ceval", "gpqa_diamond"),
)
"""Tasks whose bare name over a column of numbers says that these are accuracies."""
_FIRST = re.compile(rf"({COLUMN_METRICS})[_/.](\w[^,]*)", re.IGNORECASE)
"""err_hellaswag, acc/arc_easy."""
_LAST = re.compile(rf"(\w.*?)[_/. ]({COLUMN_METRICS}|{COLUMN_LOSSES})(,[\w-]+)?", re.IGNORECASE)
"""hellaswag_acc, and lm-evaluation-harness's arc_easy/acc,none."""
_NOT = re.compile(r"(_se|_std|_stderr|_sem|_var|_ci|_lo95|_hi95|_low|_high|_n)(,[\w-]+)?$", re.IGNORECASE)
"""Ends of what stands beside a score."""
_LOSS = re.compile(r"(^|(?<!token)(?<!answer)[_/.])loss($|[_/.])|^(train|val)[_/.]", re.IGNORECASE)


def as_long(frame: pd.DataFrame, rename: Mapping[str, str], source: str) -> tuple[pd.DataFrame, list[str]]:
    """The frame with one `score` per row, and a sentence where columns were taken for tasks.

    Raises TableError where no column is a score.

    >>> import pandas as pd
    >>> long, told = as_long(pd.DataFrame({"params": [1e8], "err_rte": [0.5], "acc_copa": [0.6]}), {}, "t.csv")
    >>> long[["task", "metric", "score"]].values.tolist()
    [['rte', 'err', 0.5], ['copa', 'acc', 0.6]]
    """
    import pandas as pd

    if "score" in frame:
        return frame, []
    found = {name: parts for name in map(str, frame.columns) if (parts := score_column(name))}
    losses = re.compile(COLUMN_LOSSES, re.IGNORECASE)
    whole = {task for task, metric in found.values() if not losses.fullmatch(metric)}
    found = {name: (task, metric) for name, (task, metric) in found.items() if task in whole}
    if not found:
        raise TableError(
            f"{source} has no column for score",
            expected="`score` beside `task`, or a column per task: acc_TASK, err_TASK, score_TASK",
            got=listed(map(str, frame.columns), 30),
            cure=_say_what(frame) or proposals(frame, ["score"]),
            code="missing_column",
        )
    others = frame.drop(columns=list(found))
    tables = [
        others.assign(task=task, metric=metric, score=numbers_in(frame[name], source, percent=True))
        for name, (task, metric) in found.items()
    ]
    told = f"{plural(len(found), 'column')} read as scores of tasks: {listed((f'`{name}`' for name in found), 4)}"
    return pd.concat(tables, ignore_index=True), [told]


def _say_what(frame: pd.DataFrame) -> str | None:
    """The cure where columns of numbers, which are no sizes, may be tasks."""
    free = [name for name in map(str, frame.columns) if name not in SCHEMA and frame[name].dtype.kind in "fi"]
    if not free:
        return None
    maps = for_shell("--map", ",".join(f"acc_{name}={name}" for name in free[:4]))
    return f"say what the columns of tasks measure, acc, err or another metric: {maps}"


def score_column(name: str) -> tuple[str, str] | None:
    """The task and the metric that the name of a column says; None where it is no score.

    >>> score_column("err_arc_easy"), score_column("arc_easy/acc,none"), score_column("loss_c4_val")
    (('arc_easy', 'err'), ('arc_easy', 'acc'), None)
    """
    if _NOT.search(name) or _LOSS.search(name):
        return None
    if first := _FIRST.fullmatch(name):
        return first[2], first[1].lower()
    if last := _LAST.fullmatch(name):
        return last[1], last[2].lower()
    plain = name.lower().replace("-", "_")
    if plain in BENCHMARKS or plain.startswith(("arc_", "mmlu_", "hellaswag_", "winogrande_")):
        return name, "acc"
    return None
