"""Training that goes on: a model and a text of the user's -> the model in a new folder, and what it gained."""

from __future__ import annotations

import copy
import hashlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch

from foretoken._version import RECIPE
from foretoken.compute.hardware import available_cores, available_memory
from foretoken.compute.objective import Objective, Options
from foretoken.data import check_tokens
from foretoken.designs import check_memory
from foretoken.errors import CheckpointError, CorpusError, DesignError, TaskError
from foretoken.evals.output import check_apart, claimed, write_model
from foretoken.evals.text import builder_for, judged
from foretoken.evals.text_corpus import TextCorpus, split_text
from foretoken.generation import Model, open_model
from foretoken.generation.load import Source
from foretoken.objectives import ExampleBuilder
from foretoken.runs.schema import TrainingSection
from foretoken.runs.spec import RunSpec
from foretoken.store import atomic
from foretoken.training.checkpoint import latest_checkpoint
from foretoken.training.evaluate import Evaluation, held_out
from foretoken.training.loop import advance
from foretoken.training.optimizer import make_optimizer
from foretoken.training.spikes import Diverged
from foretoken.training.state import TrainState, utc_now

Report = Callable[[int, int, float], None]
CHECKPOINT_SECONDS = 20.0
WHOLE = ("batch_tokens", "threads", "seed")


@dataclass(frozen=True, kw_only=True)
class Choices:
    """How a model is trained further. Raises DesignError for what cannot be."""

    learning_rate: float = 1e-4
    """Peak; it warms up, stays, and decays to 0. At most 1000."""
    batch_tokens: int = 16_384
    """Positions of a step."""
    warmup_share: float = 0.02
    cooldown: float = 0.2
    """Shares of the run over which the learning rate rises and falls; together at most 1."""
    weight_decay: float = 0.1
    validation_share: float = 0.05
    """Share of the documents that is held out, below 0.5."""
    repeat: bool = False
    """Whether the text may be read more than once."""
    precision: str = "float32"
    """`float32` or `bfloat16` (autocast)."""
    threads: int = 0
    """0: as many as torch takes. A stopped run is known by it too, because sums depend on it in the last bit."""
    seed: int = 0
    """Of the order of the text, and of what is hidden in it."""

    def __post_init__(self) -> None:
        wrong = [name for name, allowed in self._rules().items() if not allowed]
        if wrong:
            raise DesignError(
                "training cannot go on so",
                expected="shares from 0 to 1 (warmup_share and cooldown together at most 1, validation_share above 0"
                f" and below 0.5), a learning rate above 0, whole batch_tokens and seed, at most {available_cores()}"
                " threads",
                got=", ".join(f"{name} {getattr(self, name)!r}" for name in wrong),
                cure="see the choices in docs/weights.md",
            )

    def _rules(self) -> dict[str, bool]:
        """Each choice, and whether it can be."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        kinds: dict[str, Any] = dict.fromkeys(values, (int, float)) | dict.fromkeys(WHOLE, int)
        kinds |= {"repeat": bool, "precision": str}
        typed = {
            name: isinstance(value, kinds[name]) and isinstance(value, bool) == (name == "repeat")
            for name, value in values.items()
        }
        if not all(typed.values()):
            return typed
        return {
            "precision": self.precision in ("float32", "bfloat16"),
            "learning_rate": 0 < self.learning_rate <= 1e3,
            "batch_tokens": 1 <= self.batch_tokens < 2**40,
            "warmup_share": 0 <= self.warmup_share <= 1,
            "cooldown": self.cooldown >= 0 and self.cooldown + self.warmup_share <= 1 + 1e-9,
            "weight_decay": 0 <= self.weight_decay <= 1e6,
            "validation_share": 0 < self.validation_share < 0.5,
            "threads": 0 <= self.threads <= available_cores(),
            "seed": 0 <= self.seed < 2**32,
        }


@dataclass(frozen=True, kw_only=True)
class Continued:
    """What `continue_training` gives."""

    folder: Path
    spec: RunSpec
    before: Evaluation
    after: Evaluation
    """On what was held out."""
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Plain values; `change` is the loss after less that before, with its standard error, sequence by sequence."""
        change, error = self.after.change_from(self.before)
        told = {
            name: {field: getattr(one, field) for field in ("loss", "loss_se", "by_position", "label_loss")}
            for name, one in (("before", self.before), ("after", self.after))
        }
        counts = {"tokens": self.spec.tokens, "steps": self.spec.steps, "seconds": self.seconds}
        return {
            "folder": str(self.folder), **told, "change": change, "change_se": error, **counts,
            "spec": self.spec.to_json(),
        }  # fmt: skip


def continue_training(
    source: Source,
    text: str | Path,
    folder: str | Path,
    *,
    tokens: float,
    choices: Choices | Mapping[str, Any] | None = None,
    objective: Objective | str | None = None,
    context: int | None = None,
    column: str = "text",
    run: str | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    report: Report = lambda step, steps, loss: None,
    stop: Callable[[], bool] = lambda: False,
) -> Continued:
    """Train a model further on a file or folder of text, and write it into a new folder.

    `source`, `objective`, `context`, `column` and `run` are as `evaluate` takes them; `tokens` counts positions. The
    model is not changed. The loss on what is held out is taken before and after. A call that was stopped (when `stop()`
    turned true, or by a death), made again, goes on from its last checkpoint, and ends in the same bits. `report` gets
    step, steps and loss. The text is held in memory, as tokens.
    Raises what `evaluate` raises, DesignError for choices that cannot be, TaskError where the loss runs away,
    StoreError for a folder that is in use or cannot be written, KeyboardInterrupt when it was stopped.
    """
    choices = choices if isinstance(choices, Choices) else _choices(choices or {})
    model, home = open_model(source, run), Path(folder).expanduser()
    place = model.folder
    if place is None:
        raise CheckpointError("the model is not from a folder", expected="a model on disk", cure="save it first")
    check_apart(home, place, Path(text))
    model = replace(model, network=copy.deepcopy(model.network)) if isinstance(source, Model) else model
    with _threads(choices.threads):
        corpus = split_text(model, text, column, choices.validation_share)
        builder = builder_for(model, corpus, objective, context)
        spec = _spec(builder, corpus, tokens, choices)
        _check(corpus, spec)
        name = hashlib.sha256(f"{spec.key} {_fingerprint(model)}".encode()).hexdigest()[:16]
        with claimed(home, name) as work:
            state = TrainState(model.network, make_optimizer(model.network, spec), utc_now())
            on_step = _saving(work, spec, checkpoint_seconds, report, stop)
            before, after = _train(state, spec, corpus, builder, work, on_step)
            write_model(model, place, builder, home, name)
    return Continued(folder=home, spec=spec, before=before, after=after, seconds=state.seconds)


def _train(
    state: TrainState,
    spec: RunSpec,
    corpus: TextCorpus,
    builder: ExampleBuilder,
    work: Path,
    on_step: Callable[[TrainState], None],
) -> tuple[Evaluation, Evaluation]:
    """From the last checkpoint to the end: what is held out before and after. Raises TaskError."""
    wanted = max(2, spec.eval_tokens // spec.shape.sequence_tokens)
    before = judged(state.network, builder, corpus, wanted)
    saved, _ = latest_checkpoint(work, spec.steps)
    if saved is not None:
        state.restore(saved)
    told = ""
    try:
        advance(state, spec, corpus, spec.steps, on_step)
        after = held_out(state.network, builder, corpus, wanted)
        if not after.loss <= max(before.loss, math.log(spec.shape.vocabulary)) + 1.0:
            told = f"loss {after.loss:.4g} at the end, {before.loss:.4g} before"
    except Diverged as error:
        told = str(error)
    if told:
        atomic.delete_folder(work)
        raise TaskError(
            "the training ran away, and nothing is kept", expected="a loss that falls", got=told,
            cure="lower the learning rate",
        )  # fmt: skip
    return before, after


def _choices(given: Mapping[str, Any]) -> Choices:
    known = [field.name for field in fields(Choices)]
    if unknown := [name for name in given if name not in known]:
        raise DesignError("no such choice", expected=", ".join(known), got=", ".join(map(str, unknown)))
    return Choices(**given)


def _fingerprint(model: Model) -> str:
    """Of the weights and the tokenizer that a training begins with."""
    found = hashlib.sha256(model.tokenizer.name.encode())
    for name, weight in model.network.state_dict().items():
        found.update(name.encode() + weight.contiguous().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


@contextmanager
def _threads(wanted: int) -> Iterator[None]:
    """So many threads, and afterwards as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(wanted or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _spec(builder: ExampleBuilder, corpus: TextCorpus, tokens: float, choices: Choices) -> RunSpec:
    """The run. Raises DesignError when its tokens do not make two steps."""
    length, usual = builder.shape.sequence_tokens, TrainingSection()
    least = 2 if builder.objective.next_sentence else 1
    batch = max(least, round(choices.batch_tokens / length)) * length
    if not 2 * batch <= tokens < 1e15:
        raise DesignError(
            "training needs two steps at least",
            expected=f"{2 * batch} tokens or more",
            got=f"{tokens:g} tokens",
            cure="raise tokens, or lower batch_tokens",
        )
    return RunSpec(
        shape=builder.shape,
        tokens=round(tokens / batch) * batch,
        batch_tokens=batch,
        learning_rate=choices.learning_rate,
        warmup_tokens=round(choices.warmup_share * tokens),
        schedule="wsd",
        cooldown=choices.cooldown,
        final_learning_rate=0.0,
        weight_decay=choices.weight_decay,
        beta1=usual.beta1,
        beta2=usual.beta2,
        clip=usual.clip,
        precision=choices.precision,
        threads=torch.get_num_threads(),
        seed=choices.seed,
        objective=builder.objective.kind,
        options=Options(**builder.objective.given()),
        corpus=corpus.address,
        tokenizer=corpus.tokenizer,
        eval_set=corpus.eval_set,
        eval_tokens=int(usual.eval_tokens),
        software=f"recipe {RECIPE}, torch {torch.__version__}",
        repeat=choices.repeat,
    )


def _check(corpus: TextCorpus, spec: RunSpec) -> None:
    """Raise, in this verb's words, CorpusError for a text that is too short and DesignError for too little memory."""
    try:
        check_memory([spec], 1, available_memory())
    except DesignError as error:
        cure = "lower batch_tokens or context"
        raise DesignError(error.message, expected=error.expected, got=error.got, cure=cure) from None
    try:
        check_tokens(corpus, spec.sequences_read, spec.aim.window(spec.shape), spec.repeat)
    except CorpusError as error:
        few = error.message.startswith("the validation split")
        told = "too little of the text is held out" if few else "the text is too short"
        cure = f"give more text, or {'a larger validation_share' if few else 'fewer tokens, or repeat (--repeat)'}"
        raise CorpusError(told, expected=error.expected, got=error.got, cure=cure) from None


def _saving(
    work: Path, spec: RunSpec, seconds: float, report: Report, stop: Callable[[], bool]
) -> Callable[[TrainState], None]:
    """What is done after each step."""
    saved = time.monotonic()

    def on_step(state: TrainState) -> None:
        nonlocal saved
        report(state.step, spec.steps, state.window[-1] if state.window else state.curve[-1][1])
        stopped = stop()
        if stopped or state.step == spec.steps or time.monotonic() - saved >= seconds:
            state.snapshot().write(work)
            saved = time.monotonic()
        if stopped:
            raise KeyboardInterrupt

    return on_step
