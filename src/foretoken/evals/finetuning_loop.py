"""Fine-tuning: a network goes on learning from labelled examples, all its weights and a new head.

AdamW, warm-up and linear decay (Devlin et al. 2018, appendix A.3). After each epoch the validation examples are scored;
the weights with the least loss there are kept, and patience ends it. Learning rates are tried in turn, and the one with
the least validation loss is taken, for a pretrained network and for random weights alike; one that diverges never is.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from foretoken.errors import TaskError
from foretoken.evals.formats import Reader, make_reader
from foretoken.evals.head import Tuned, widened
from foretoken.evals.result import Outcome, Tuning
from foretoken.evals.scores import METRIC_OF, METRICS, Predictions
from foretoken.evals.tasks import TEXT_TO_TEXT, Example, Task
from foretoken.models import Network
from foretoken.training.loop import seed_dropout
from foretoken.training.optimizer import decay_groups
from foretoken.training.torch_setup import float32_products

EVAL_EXAMPLES = 256
Tasks = Task | Callable[[int], Task]
"""A task, or one for each seed, so that the error over seeds is also one over examples."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a network is tuned. Raises TaskError for values that cannot be."""

    learning_rates: tuple[float, ...] = (1e-4, 5e-4, 2e-3)
    batch: int = 16
    """Examples of a step."""
    epochs: int = 40
    """Rounds over the training examples, at most."""
    patience: int = 6
    """Epochs without a lower validation loss, after which it ends."""
    warmup: float = 0.1
    """Share of all steps."""
    weight_decay: float = 0.01
    clip: float = 1.0
    """Largest norm of a gradient."""
    dropout: float = 0.1
    metric: str = ""
    """accuracy, f1 or exact_match; that of the kind unless given."""

    def __post_init__(self) -> None:
        if self.metric and self.metric not in METRICS:
            raise TaskError(
                "no such metric",
                expected=", ".join(METRICS),
                got=repr(self.metric),
                cure="leave it out for that of the kind of task",
            )
        for name in ("batch", "epochs", "patience"):
            if getattr(self, name) < 1:
                raise TaskError(
                    f"{name} must be 1 or more",
                    expected="1 or more",
                    got=str(getattr(self, name)),
                    cure=f"leave it out for {getattr(Options, name)}",
                )
        if not self.learning_rates or not all(0 < rate < math.inf for rate in self.learning_rates):
            raise TaskError(
                "learning rates must be above 0",
                expected="one finite number above 0, or more",
                got=str(self.learning_rates),
                cure=f"leave them out for {', '.join(f'{rate:g}' for rate in Options.learning_rates)}",
            )
        if not (0 <= self.warmup <= 1 and 0 <= self.dropout < 1):
            raise TaskError(
                "warmup and dropout are shares",
                expected="0 to 1, dropout below 1",
                got=f"warmup {self.warmup}, dropout {self.dropout}",
                cure=f"leave them out for {Options.warmup:g} and {Options.dropout:g}",
            )


def fine_tune(
    network: Network,
    task: Tasks,
    options: Options | None = None,
    *,
    specials: Mapping[str, int] | None = None,
    seeds: Sequence[int] = range(5),
    from_scratch: bool = False,
) -> Tuning:
    """Tune the network on the task once for each seed, and score it; it is not changed itself.

    A seed draws the head, the rows of new marks, the order of examples and dropout. With `from_scratch` the same shape
    is tuned from random weights too, and the difference is taken seed by seed. `specials` are special tokens that the
    network knows, by name; marks that are lacking get new rows. Same seeds, same numbers.

    Raises TaskError, before anything is trained, when the network cannot do the task (formats.make_reader); and when no
    learning rate gives a finite loss.
    """
    options = options or Options()
    if not len(seeds) or len(set(seeds)) < len(seeds):
        raise TaskError(
            "give one seed or more, each once",
            expected="at least one seed, none twice",
            got=str(list(seeds)),
            cure="ask for one seed or more",
        )
    tasks = [task(seed) if callable(task) else task for seed in seeds]
    readers = [make_reader(one, network.shape, specials or {}) for one in tasks]
    pairs = list(zip(seeds, tasks, readers, strict=True))

    def outcomes(fresh: bool) -> tuple[Outcome, ...]:
        return tuple(
            best_of(network, one, reader, vocabulary, options, seed, fresh)[1]
            for seed, one, (reader, vocabulary) in pairs
        )

    return Tuning(
        task=tasks[0],
        metric=options.metric or METRIC_OF[tasks[0].kind],
        tuned=outcomes(False),
        scratch=outcomes(True) if from_scratch else (),
    )


def best_of(
    network: Network, task: Task, reader: Reader, vocabulary: int, options: Options, seed: int, fresh: bool
) -> tuple[Tuned, Outcome]:
    """The tuned network with the least validation loss among the learning rates, and its scores.

    Raises TaskError when no learning rate gives a finite validation loss, or the best one's test loss is not finite.
    """
    tried = []
    for rate in options.learning_rates:
        start = widened(network, vocabulary, seed, options.dropout, fresh=fresh)
        tuned = Tuned(start, task.kind, len(task.classes), seed, options.dropout)
        tried.append((*learn(tuned, task, reader, options, rate, seed), rate, tuned))
    loss, epochs, rate, tuned = min(tried, key=lambda one: one[0])
    _check_finite(loss, "validation", options)
    found, test_loss = predict(tuned, reader, task.test)
    _check_finite(test_loss, "test", options)
    score, error = METRICS[options.metric or METRIC_OF[task.kind]](found)
    return tuned, Outcome(seed, score, error, loss, epochs, rate, _by_task(task, found))


@float32_products()
def learn(tuned: Tuned, task: Task, reader: Reader, options: Options, rate: float, seed: int) -> tuple[float, int]:
    """Tune in place; ends with the weights of the least validation loss. Gives that loss, and the epochs trained.

    The loss is infinite where no epoch had a finite one; the weights are of no use then.
    """
    optimizer = torch.optim.AdamW(decay_groups(tuned, options.weight_decay), fused=True)
    chance = np.random.default_rng([seed, 1])
    each = math.ceil(len(task.train) / options.batch)
    best, kept, epoch, step = math.inf, None, 0, 0
    best_epoch = 0
    for epoch in range(1, options.epochs + 1):
        tuned.train()
        for rows in np.array_split(_order(task, chance), each):
            batch = reader.batch([task.train[row] for row in rows])
            seed_dropout(seed, step)
            loss = functional.cross_entropy(tuned(batch), torch.from_numpy(batch.targets))
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(tuned.parameters(), options.clip)
            for group in optimizer.param_groups:
                group["lr"] = rate * rate_share(step, each * options.epochs, options.warmup)
            optimizer.step()
            optimizer.zero_grad()
            step += 1
        loss_now = predict(tuned, reader, task.validation)[1]
        if loss_now < best:
            best, best_epoch, kept = loss_now, epoch, copy.deepcopy(tuned.state_dict())
        elif epoch - best_epoch >= options.patience:
            break
    if kept is not None:
        tuned.load_state_dict(kept)
    return best, epoch


@torch.no_grad()
@float32_products()
def predict(tuned: Tuned, reader: Reader, examples: Sequence[Example]) -> tuple[Predictions, float]:
    """The likeliest class or token at each place, and the mean loss, in nats.

    Of a target, each token is predicted from the right ones before it. All of them are right exactly when what the
    network would write, always taking the likeliest token, is the target: so nothing need be written to score it.
    """
    tuned.eval()
    given, right, owner, losses = [], [], [], []
    for first in range(0, len(examples), EVAL_EXAMPLES):
        batch = reader.batch(examples[first : first + EVAL_EXAMPLES])
        logits = tuned(batch).float()
        losses.append(functional.cross_entropy(logits, torch.from_numpy(batch.targets), reduction="none"))
        given.append(logits.argmax(1).numpy())
        right.append(batch.targets)
        owner.append(batch.owner + first)
    found = Predictions(np.concatenate(given), np.concatenate(right), np.concatenate(owner))
    return found, torch.cat(losses).mean().item()


def rate_share(step: int, steps: int, warmup: float) -> float:
    """Linear up over the warm-up, then linear down to nearly 0.

    >>> [round(rate_share(step, 10, 0.2), 3) for step in (0, 1, 2, 9)]
    [0.5, 1.0, 1.0, 0.125]
    """
    rise = round(warmup * steps)
    return (step + 1) / rise if step < rise else (steps - step) / max(1, steps - rise)


def _check_finite(loss: float, split: str, options: Options) -> None:
    """Raise TaskError when a loss is no finite number, so that scores would mean nothing."""
    if not math.isfinite(loss):
        raise TaskError(
            f"the tuned network's {split} loss is not finite, so it cannot be scored",
            expected="a finite loss from one learning rate or more",
            got=f"none from learning rates {', '.join(f'{rate:g}' for rate in options.learning_rates)}",
            cure="try lower learning rates; where none helps, the model's weights are not finite: take another",
        )


def _order(task: Task, chance: np.random.Generator) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """The rows of an epoch: each once, or of a mixture as many, drawn by their weights."""
    number = len(task.train)
    return chance.choice(number, number, p=task.weights) if task.weights else chance.permutation(number)


def _by_task(task: Task, found: Predictions) -> dict[str, float]:
    """Of a mixture, the share of exact matches in each of its tasks."""
    names = np.array([one.task for one in task.test])
    if task.kind != TEXT_TO_TEXT or not names.any():
        return {}
    whole = np.bincount(found.owner, found.given != found.right) == 0
    return {str(name): float(whole[names == name].mean()) for name in sorted(set(names))}
