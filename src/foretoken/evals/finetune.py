"""`foretoken finetune`: a model and labelled examples in files -> scores, over several seeds.

Learning rates are tried in turn, and the one with the least validation loss is taken, for a pretrained network and for
random weights alike; one that diverges never is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, asdict, dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from foretoken.arguments import takes
from foretoken.errors import TaskError
from foretoken.evals.finetuning_loop import TaskNetwork, extend_vocabulary, predict, train
from foretoken.evals.formats import InputFormat, input_format
from foretoken.evals.metrics import (
    DEFAULT_METRIC,
    METRICS,
    Predictions,
    SeedMean,
    chance,
    mean_over_seeds,
    sampling_interval,
    score_over_seeds,
)
from foretoken.evals.options import TuningOptions
from foretoken.evals.task_files import read_task
from foretoken.evals.tasks import NO_LABEL, SPLITS, TEXT_TO_TEXT, Task, check_mixing, mixture
from foretoken.generation import open_model
from foretoken.generation.load import ModelSource
from foretoken.models import Network
from foretoken.results import Result

TaskOrTasks = Task | Callable[[int], Task]
"""A task, or one for each seed, so that the error over seeds is also one over examples."""


@dataclass(frozen=True)
class SeedResult:
    """One seed."""

    seed: int
    score: float
    """On the test examples."""
    test_se: float
    """Standard error from the test examples being a sample (of a share, the binomial one)."""
    low: float
    high: float
    """The interval of 95 % that so few test examples leave, inside 0 and 1 (Wilson 1927)."""
    validation_loss: float
    """The least one, in nats per prediction, at which the weights were kept."""
    epochs: int
    learning_rate: float
    by_task: dict[str, float] = field(default_factory=dict)
    """Of a mixture, the share of exact matches in each of its tasks."""


@dataclass(frozen=True, kw_only=True)
class FinetuneResult(Result):
    """Scores of a tuned network on a task."""

    task: Task
    metric: str
    tuned: tuple[SeedResult, ...]
    """From the pretrained weights that were given."""
    scratch: tuple[SeedResult, ...] = ()
    """From random weights, with the same seeds; empty where not asked for."""

    @property
    def score(self) -> SeedMean:
        """Over seeds."""
        return score_over_seeds([seed.score for seed in self.tuned])

    @property
    def chance(self) -> float | None:
        """The score of always answering the commonest class of the training examples; None of free text."""
        if self.task.kind == TEXT_TO_TEXT:
            return None
        labels = [[label for label in example.labels if label != NO_LABEL] for example in self.task.test]
        index = np.repeat(np.arange(len(labels)), [len(row) for row in labels])
        learned = [label for example in self.task.train for label in example.labels if label != NO_LABEL]
        return chance(self.metric, learned, np.array([*chain(*labels)]), index)

    @property
    def scratch_score(self) -> SeedMean | None:
        """Of random weights, over seeds."""
        return score_over_seeds([seed.score for seed in self.scratch]) if self.scratch else None

    @property
    def difference(self) -> SeedMean | None:
        """What the pretrained weights are worth: the difference of both scores, seed by seed."""
        if not self.scratch:
            return None
        # Paired by seed: both arms share the order of examples, the head and the test set, so the spread of the
        # differences is less than that of two independent means.
        pairs = zip(self.tuned, self.scratch, strict=True)
        return mean_over_seeds([tuned.score - scratch.score for tuned, scratch in pairs])

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        scratch, difference = self.scratch_score, self.difference
        return {
            "task": self.task.name,
            "kind": self.task.kind,
            "classes": list(self.task.classes),
            "examples": {split: len(self.task.split(split)) for split in SPLITS},
            "metric": self.metric,
            "ceiling": self.task.ceiling,
            "chance": self.chance,
            "chance_reason": "free text has no classes" if self.chance is None else None,
            "score": self.score.to_json(),
            "scratch_score": scratch and scratch.to_json(),
            "difference": difference and difference.to_json(),
            "seeds": [asdict(seed) for seed in self.tuned],
            "scratch_seeds": [asdict(seed) for seed in self.scratch],
        }


@dataclass(frozen=True)
class FinetuneRequest(TuningOptions):
    """A model, labelled examples in files, and how to tune the one on the others."""

    source: ModelSource
    """A study with kept weights, or a folder of safetensors."""
    task: str | Path | Sequence[str | Path]
    """A file of labelled examples; several files of text-to-text examples are one mixture."""
    kind: str
    """single, pair, similarity, choice, labels or text-to-text."""
    _: KW_ONLY
    seeds: int = 5
    """How many times; the seeds are 0, 1, ..."""
    from_scratch: bool = False
    """Whether to tune the same shape from random weights too, and give the difference seed by seed."""
    classes: Sequence[str] = ()
    """All classes; those of the training examples unless given."""
    cut: int = 0
    """Keep this many first tokens of each text; 0 for all."""
    rename: Mapping[str, str] = field(default_factory=dict)
    """Our columns by the file's names: {"text": "sentence"}."""
    cap: int = 65_536
    """In a mixture, a larger task counts as this many examples."""
    temperature: float = 1.0
    """In a mixture, above 1 evens out the shares of the tasks (Raffel et al. 2019, arXiv 1910.10683)."""
    run: str | None = None
    """Of a study, the run whose key begins so, in place of its target."""


@takes(FinetuneRequest)
def finetune(request: FinetuneRequest) -> FinetuneResult:
    """Tune a model on labelled examples, once per seed, and score it on examples that are held out.

    The arguments are the fields of `FinetuneRequest`. The model is not changed. Raises TaskError, before anything is
    trained, for examples that cannot be used or that the model cannot do, and for invalid settings; what `open_model`
    and `tune` raise.
    """
    check_mixing(request.cap, request.temperature)
    paths = [request.task] if isinstance(request.task, str | Path) else list(request.task)
    model = open_model(request.source, request.run)
    read = partial(read_task, classes=request.classes, cut=request.cut, rename=request.rename)
    tasks = [read(path, request.kind, model.tokenizer) for path in paths]
    return tune(
        model.network,
        tasks[0] if len(tasks) == 1 else mixture(tasks, cap=request.cap, temperature=request.temperature),
        request,
        specials=model.specials,
        seeds=range(request.seeds),
        from_scratch=request.from_scratch,
    )


def tune(
    network: Network,
    task: TaskOrTasks,
    options: TuningOptions | None = None,
    *,
    specials: Mapping[str, int] | None = None,
    seeds: Sequence[int] = range(5),
    from_scratch: bool = False,
) -> FinetuneResult:
    """Tune a network on a task once for each seed, and score it; the network is not changed.

    A seed draws the head, the rows of new delimiters, the order of examples and dropout. With `from_scratch` the same
    shape is tuned from random weights too. `specials` are special tokens that the network knows, by name. The same
    seeds give the same numbers.

    Raises TaskError, before anything is trained, when the network cannot do the task (`input_format`); and when no
    learning rate gives a finite loss.
    """
    options = options or TuningOptions()
    if not len(seeds) or len(set(seeds)) < len(seeds):
        raise TaskError(
            "give one seed or more, each once",
            expected="at least one seed, none twice",
            got=str(list(seeds)),
            cure="ask for one seed or more",
        )
    tasks = [task(seed) if callable(task) else task for seed in seeds]
    # All formats are made before the first training, so that a task that cannot be used costs no training.
    arms = [Arm(network, each, *input_format(each, network.shape, specials or {}), options) for each in tasks]
    arms_and_seeds = list(zip(arms, seeds, strict=True))
    return FinetuneResult(
        task=tasks[0],
        metric=options.metric or DEFAULT_METRIC[tasks[0].kind],
        tuned=tuple(best_of(arm, seed)[1] for arm, seed in arms_and_seeds),
        scratch=tuple(best_of(arm, seed, fresh=True)[1] for arm, seed in arms_and_seeds) if from_scratch else (),
    )


@dataclass(frozen=True)
class Arm:
    """What one seed's trainings have in common."""

    network: Network
    task: Task
    inputs: InputFormat
    vocabulary: int
    """Of the network with the delimiters that it lacked."""
    options: TuningOptions


def best_of(arm: Arm, seed: int, *, fresh: bool = False) -> tuple[TaskNetwork, SeedResult]:
    """The tuned network with the least validation loss among the learning rates, and its scores.

    With `fresh` it starts from random weights. Raises TaskError when no learning rate gives a finite validation loss,
    or the best one's test loss is not finite.
    """
    task, options = arm.task, arm.options
    trials: list[tuple[float, int, float, TaskNetwork]] = []
    for learning_rate in options.learning_rates:
        start = extend_vocabulary(arm.network, arm.vocabulary, seed, options.dropout, fresh=fresh)
        network = TaskNetwork(start, task.kind, len(task.classes), seed, options.dropout)
        trials.append((*train(network, task, arm.inputs, options, learning_rate, seed), learning_rate, network))
    validation_loss, epochs, learning_rate, network = min(trials, key=lambda trial: trial[0])
    _check_finite(validation_loss, "validation", options)
    predictions, test_loss = predict(network, arm.inputs, task.test)
    _check_finite(test_loss, "test", options)
    score, error = METRICS[options.metric or DEFAULT_METRIC[task.kind]](predictions)
    low, high = sampling_interval(score, error, len(task.test))
    return network, SeedResult(
        seed=seed,
        score=score,
        test_se=error,
        low=low,
        high=high,
        validation_loss=validation_loss,
        epochs=epochs,
        learning_rate=learning_rate,
        by_task=_matches_by_task(task, predictions),
    )


def _check_finite(loss: float, split: str, options: TuningOptions) -> None:
    """Raise TaskError when a loss is not finite, so that scores would mean nothing."""
    if not math.isfinite(loss):
        raise TaskError(
            f"the tuned network's {split} loss is not finite, so it cannot be scored",
            expected="a finite loss from one learning rate or more",
            got=f"none from learning rates {', '.join(f'{rate:g}' for rate in options.learning_rates)}",
            cure="try lower learning rates; if none helps, the model's weights are not finite: take another model",
        )


def _matches_by_task(task: Task, predictions: Predictions) -> dict[str, float]:
    """Of a mixture, the share of exact matches in each of its tasks."""
    names = np.array([example.task for example in task.test])
    if task.kind != TEXT_TO_TEXT or not names.any():
        return {}
    matches = np.bincount(predictions.example_index, predictions.predicted != predictions.targets) == 0
    return {str(name): float(matches[names == name].mean()) for name in sorted(set(names))}
