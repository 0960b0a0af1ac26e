"""Training that goes on: a model and a text of the user's -> the model in a new folder, and what it gained."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch

from foretoken._version import RECIPE
from foretoken.compute.objective import Objective, Options
from foretoken.data import check_tokens, validation_batches
from foretoken.errors import CheckpointError, CorpusError, DesignError, StoreError, TaskError
from foretoken.evals.text import TextCorpus, make_maker, read_corpus
from foretoken.generation import Model, open_model
from foretoken.generation.opening import Source
from foretoken.models import save_pretrained
from foretoken.models.checkpoint_files import read_config
from foretoken.objectives import Maker
from foretoken.runs import door
from foretoken.runs.kept import FACTS, commit_weights, digest
from foretoken.runs.sections import TrainingSection
from foretoken.runs.spec import RunSpec
from foretoken.training.checkpoint import latest_checkpoint
from foretoken.training.evaluate import Evaluation, measure, sequences_at_once
from foretoken.training.loop import advance
from foretoken.training.optimizer import make_optimizer
from foretoken.training.process import set_up
from foretoken.training.spikes import Diverged
from foretoken.training.state import TrainState, utc_now

BESIDE = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
    "vocab.txt", "merges.txt", "tokenizer.model", "spiece.model", "generation_config.json", FACTS,
)  # fmt: skip
"""Files beside weights that go along into the new folder, as they are."""
Report = Callable[[int, int, float], None]


@dataclass(frozen=True, kw_only=True)
class Choices:
    """How a model is trained further. Raises DesignError for what cannot be."""

    learning_rate: float = 1e-4
    """Peak; it warms up, stays, and decays to 0."""
    batch_tokens: int = 16_384
    """Positions of a step."""
    warmup_share: float = 0.02
    cooldown: float = 0.2
    """Shares of the run over which the learning rate rises and falls."""
    weight_decay: float = 0.1
    validation_share: float = 0.05
    """Share of the documents that is held out."""
    repeat: bool = False
    """Whether the text may be read more than once."""
    precision: str = "float32"
    """`float32` or `bfloat16` (autocast)."""
    threads: int = 0
    """0: as many as torch takes. Part of what a stopped run is known by, because sums depend on it in the last bit."""
    seed: int = 0
    """Of the order of the text, and of what is hidden in it."""

    def __post_init__(self) -> None:
        whole = {"batch_tokens": 1, "threads": 0, "seed": 0}
        wrong = [f"{name} {getattr(self, name)}" for name, least in whole.items() if getattr(self, name) < least]
        shares = (self.warmup_share, self.cooldown, self.warmup_share + self.cooldown)
        wrong += [] if all(0 <= share <= 1 for share in shares) else ["warmup_share and cooldown beyond the run"]
        wrong += [] if 0 < self.learning_rate <= 1e3 else [f"learning_rate {self.learning_rate}"]
        wrong += [] if 0 <= self.weight_decay <= 1e6 else [f"weight_decay {self.weight_decay}"]
        wrong += [] if 0 < self.validation_share < 0.5 else [f"validation_share {self.validation_share}"]
        wrong += [] if self.precision in ("float32", "bfloat16") else [f"precision {self.precision!r}"]
        if wrong:
            raise DesignError("training cannot go on so", got="; ".join(wrong), cure="see Choices in docs/weights.md")


@dataclass(frozen=True, kw_only=True)
class Continued:
    """What `continue_training` gives."""

    folder: Path
    spec: RunSpec
    before: Evaluation
    after: Evaluation
    """On the documents that were held out."""
    curve: list[list[float]]
    """[positions, training loss]."""
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Plain values; `change` is the loss after less that before, with its standard error, sequence by sequence."""
        change, error = self.after.change_from(self.before)
        told = {
            name: {"loss": one.loss, "loss_se": one.loss_se, "by_position": one.by_position}
            for name, one in (("before", self.before), ("after", self.after))
        }
        return {
            "folder": str(self.folder),
            "tokens": self.spec.tokens,
            "steps": self.spec.steps,
            **told,
            "change": change,
            "change_se": error,
            "curve": self.curve,
            "seconds": self.seconds,
            "spec": self.spec.to_json(),
        }


def continue_training(
    source: Source,
    text: str | Path,
    folder: str | Path,
    *,
    tokens: float,
    choices: Choices | Mapping[str, Any] | None = None,
    objective: Objective | None = None,
    context: int | None = None,
    column: str = "text",
    run: str | None = None,
    checkpoint_seconds: float = 20.0,
    report: Report = lambda step, steps, loss: None,
) -> Continued:
    """Train a model further on a file or folder of text, and write it into a new folder, in the form that it came in.

    `source`, `objective`, `context`, `column` and `run` are as `evaluate` takes them; `tokens` counts positions. The
    model is not changed. The loss on held-out documents is taken before and after. A call that was stopped and is made
    again goes on from its last checkpoint, and ends in the same bits. `report` gets step, steps and loss.
    Raises what `evaluate` raises, DesignError for choices that cannot be, TaskError where the loss runs away,
    StoreError where the folder holds a model already or cannot be written.
    """
    choices = choices if isinstance(choices, Choices) else _choices(choices or {})
    model, home = open_model(source, run), Path(folder)
    if (home / "config.json").is_file():
        raise StoreError(f"{home} holds a model already", expected="a new folder", cure="give another folder")
    if model.folder is None:
        raise CheckpointError("a model that is not from a folder cannot be continued", cure="save it, and name that")
    set_up(choices.threads or torch.get_num_threads())
    corpus = read_corpus(model, text, column, choices.validation_share)
    maker = make_maker(model, corpus, objective, context)
    spec = _spec(maker, corpus, tokens, choices)
    _check_text(corpus, spec)
    work = home / "unfinished" / _name(spec, model.folder)
    state = TrainState(model.network, make_optimizer(model.network, spec), utc_now())
    before = _held_out(state, spec, corpus, maker)
    saved, _ = latest_checkpoint(work, spec.steps)
    if saved is not None:
        state.restore(saved)
    try:
        advance(state, spec, corpus, spec.steps, _saving(work, spec, checkpoint_seconds, report))
    except Diverged as error:
        cure = "lower the learning rate"
        raise TaskError("the training ran away, and nothing is kept", got=str(error), cure=cure) from error
    after = _held_out(state, spec, corpus, maker)
    commit_weights(home, lambda place: _write(model, place))
    door.delete_folder(home / "unfinished")
    return Continued(folder=home, spec=spec, before=before, after=after, curve=list(state.curve), seconds=state.seconds)


def _choices(given: Mapping[str, Any]) -> Choices:
    known = [field.name for field in fields(Choices)]
    if unknown := [name for name in given if name not in known]:
        raise DesignError("no such choice", expected=", ".join(known), got=", ".join(map(str, unknown)))
    return Choices(**given)


def _check_text(corpus: TextCorpus, spec: RunSpec) -> None:
    """Raise CorpusError, in this verb's words, for a text that is too short."""
    try:
        check_tokens(corpus, spec.sequences_read, spec.aim.window(spec.shape), spec.repeat)
    except CorpusError as error:
        cure = "give more text, fewer tokens, a larger validation_share where nothing is held out, or allow to repeat"
        raise CorpusError(error.message, expected=error.expected, got=error.got, cure=cure) from None


def _spec(maker: Maker, corpus: TextCorpus, tokens: float, choices: Choices) -> RunSpec:
    """The run. Raises DesignError when its tokens do not make two steps."""
    length, usual = maker.shape.sequence_tokens, TrainingSection()
    least = 2 if maker.objective.next_sentence else 1
    batch = max(least, round(choices.batch_tokens / length)) * length
    if not 2 * batch <= tokens < 1e15:
        raise DesignError(
            "training needs two steps at least",
            expected=f"tokens of {2 * batch} or more, or a smaller batch",
            got=f"{tokens:g} tokens",
        )
    return RunSpec(
        shape=maker.shape,
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
        objective=maker.objective.kind,
        options=Options(**maker.objective.given()),
        corpus=corpus.address,
        tokenizer=corpus.tokenizer,
        eval_set=corpus.eval_set,
        eval_tokens=int(usual.eval_tokens),
        software=f"recipe {RECIPE}, torch {torch.__version__}",
        repeat=choices.repeat,
    )


def _name(spec: RunSpec, source: Path) -> str:
    """What a stopped run is known by: its spec, and the weights that it began with."""
    return hashlib.sha256(f"{spec.key} {digest(source)}".encode()).hexdigest()[:16]


def _held_out(state: TrainState, spec: RunSpec, corpus: TextCorpus, maker: Maker) -> Evaluation:
    length = spec.shape.sequence_tokens
    wanted, at_once = max(2, spec.eval_tokens // length), sequences_at_once(spec.aim, length)
    return measure(state.network, maker, validation_batches(corpus, spec.aim.window(spec.shape), wanted, at_once))


def _saving(work: Path, spec: RunSpec, seconds: float, report: Report) -> Callable[[TrainState], None]:
    """What is done after each step."""
    saved = time.monotonic()

    def on_step(state: TrainState) -> None:
        nonlocal saved
        loss = state.window[-1] if state.window else state.curve[-1][1]
        report(state.step, spec.steps, loss)
        if time.monotonic() - saved >= seconds and state.step < spec.steps:
            state.snapshot().write(work)
            saved = time.monotonic()

    return on_step


def _write(model: Model, place: Path) -> None:
    """Weights, token ids, and what stands beside them."""
    assert model.folder is not None
    config = read_config(model.folder)
    ids = {name: value for name, value in config.items() if name.endswith("_token_id") and type(value) is int}
    save_pretrained(model.network, place, token_ids=ids)
    for name in BESIDE:
        if (model.folder / name).is_file():
            door.write_file(place / name, (model.folder / name).read_bytes())
