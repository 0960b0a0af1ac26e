"""What is known of metrics and tasks: which way is better, whether a score has bounds, what guessing reaches."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

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
         "pearson", "consistency"),
        UP,
    ),
    **dict.fromkeys(("err", "error", "errors", "brier", "wer", "cer", "edit", "distance", "ece"), DOWN),
    **dict.fromkeys(
        ("ppl", "perplexity", "loss", "nll", "ce", "xent", "entropy", "bpb", "bpc", "bits", "nats"), FALLING
    ),
}  # fmt: skip
"""By a word of the metric's name; of several, the word that falls counts (`error rate`)."""
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
}  # fmt: skip
"""What guessing reaches in accuracy, by the first words of a task's name: one over the number of choices."""
GUESSED = ("acc", "accuracy", "err", "error")
"""Words of the metrics that the chance of a task is for."""


def metric_named(name: str) -> Metric | None:
    """What a metric's name says of it; None where no word of it is known.

    >>> metric_named("acc_norm"), metric_named("word perplexity"), metric_named("error rate")
    (Metric(better='up', bounded=True), Metric(better='down', bounded=False), Metric(better='down', bounded=True))
    >>> metric_named("elo")
    """
    found = [KNOWN[word] for word in _words(name) if word in KNOWN]
    return min(found, key=(FALLING, DOWN, UP).index) if found else None


def chance_of(task: str, metric: str) -> float | None:
    """What guessing scores in a task by this metric, as a fraction; None where it is not known.

    >>> chance_of("winogrande", "acc"), chance_of("hellaswag_zeroshot", "err"), chance_of("triviaqa", "acc")
    (0.5, 0.75, None)
    """
    words = _words(metric)
    if not any(word in GUESSED for word in words):
        return None
    plain = "_".join(_words(task))
    names = [name for name in CHANCE if plain == name or plain.startswith(f"{name}_")]
    if not names:
        return None
    share = CHANCE[max(names, key=len)]
    known = metric_named(metric)
    return 1.0 - share if known and known.better == "down" else share


def _words(name: str) -> list[str]:
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)
    return [word for word in re.split(r"[^a-z0-9]+", parted.lower()) if word]
