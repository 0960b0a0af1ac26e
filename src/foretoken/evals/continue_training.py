"""Continued training: a model and a text of the user's -> the model in a new folder, and the loss before and after."""

from __future__ import annotations

import copy
import hashlib
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from foretoken._version import RECIPE
from foretoken.arguments import takes
from foretoken.compute.hardware import available_memory
from foretoken.compute.objective import Objective
from foretoken.data import check_tokens, windows
from foretoken.designs import check_memory
from foretoken.errors import CheckpointError, CorpusError, DesignError, TaskError
from foretoken.evals.options import ContinueOptions
from foretoken.evals.output import check_apart, claim_folder, write_model
from foretoken.evals.text_corpus import TextCorpus, builder_for, finite_evaluation, split_text
from foretoken.generation import Model, open_model
from foretoken.generation.load import ModelSource
from foretoken.objectives import ExampleBuilder
from foretoken.results import Result
from foretoken.runs.schema import TrainingSection
from foretoken.runs.spec import RunSpec
from foretoken.store import atomic, clock
from foretoken.training.checkpoint import latest_checkpoint
from foretoken.training.evaluate import Evaluation, held_out
from foretoken.training.loop import advance
from foretoken.training.optimizer import make_optimizer
from foretoken.training.spikes import Diverged
from foretoken.training.state import TrainState

Report = Callable[[int, int, float], None]
"""Gets step, steps and loss."""
CHECKPOINT_SECONDS = 20.0
"""Time between two checkpoints."""
TOLERATED_RISE = 1.0
"""Nats above a uniform guess, and above the loss before, from which a training counts as diverged."""


@dataclass(frozen=True, kw_only=True)
class ContinuedTraining(Result):
    """A model that was trained further, and its loss on held-out text before and after."""

    folder: Path
    spec: RunSpec
    before: Evaluation
    after: Evaluation
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Plain values; `change` is the loss after less that before, with its standard error, sequence by sequence."""
        change, error = self.after.change_from(self.before)
        return {
            "folder": str(self.folder),
            "before": _evaluation_json(self.before),
            "after": _evaluation_json(self.after),
            "change": change,
            "change_se": error,
            "tokens": self.spec.tokens,
            "steps": self.spec.steps,
            "seconds": self.seconds,
            "spec": self.spec.to_json(),
        }


def _evaluation_json(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "loss": evaluation.loss,
        "loss_se": evaluation.loss_se,
        "by_position": [list(row) for row in evaluation.by_position],
        "label_loss": evaluation.label_loss,
    }


def ignore_progress(step: int, steps: int, loss: float) -> None:
    """Report nothing."""


def never() -> bool:
    """Do not stop."""
    return False


@dataclass(frozen=True)
class ContinueRequest(ContinueOptions):
    """A model, a text, a new folder, and how to train the model further on the text."""

    source: ModelSource
    """A study with kept weights, or a folder of safetensors."""
    text: str | Path
    """Plain text, .jsonl (.gz, .zst) or .parquet; or a folder of these."""
    folder: str | Path
    """Where the new model goes: a folder that is new or empty, or that holds this training, stopped."""
    _: KW_ONLY
    tokens: float
    """Positions to train on."""
    objective: Objective | str | None = None
    """What to train for; what the model was trained for unless given."""
    context: int | None = None
    """Tokens of a sequence; all that the model can read unless given."""
    column: str = "text"
    """What holds the text in .json, .jsonl, .csv, .tsv and .parquet."""
    encoding: str = "utf-8"
    """What the text is encoded in, as Python names it: gb18030, latin-1, ..."""
    run: str | None = None
    """Of a study, the run whose key begins so, in place of its target."""
    checkpoint_seconds: float = CHECKPOINT_SECONDS
    """Time between two checkpoints."""
    report: Report = ignore_progress
    """Called after each step."""
    should_stop: Callable[[], bool] = never
    """Asked after each step; when it is true, a checkpoint is written and KeyboardInterrupt raised."""


@takes(ContinueRequest)
def continue_training(request: ContinueRequest) -> ContinuedTraining:
    """Train a model further on a file or folder of text, and write it into a new folder.

    The arguments are the fields of `ContinueRequest`. The model itself is not changed. The loss on what is held out is
    measured before and after. A call that was stopped (when `should_stop()` turned true, or because the process died)
    resumes from its last checkpoint when it is made again, and ends in the same bits. The text is held in memory, as
    tokens.

    Raises what `evaluate` raises, DesignError for options that no run can have, TaskError where the loss diverges,
    StoreError for a folder that is in use or cannot be written, KeyboardInterrupt when it was stopped.
    """
    model, home = open_model(request.source, request.run), Path(request.folder).expanduser()
    source_folder = model.folder
    if source_folder is None:
        raise CheckpointError("the model is not from a folder", expected="a model on disk", cure="save it first")
    check_apart(home, source_folder, Path(request.text))
    if isinstance(request.source, Model):  # the user's own object must stay as it is
        model = replace(model, network=copy.deepcopy(model.network))
    with _threads(request.threads):
        corpus = split_text(model, request.text, request.column, request.validation_share, request.encoding)
        builder = builder_for(model, corpus, request.objective, request.context)
        spec = _spec(builder, corpus, request)
        _check_spec(corpus, spec)
        # The name identifies the run and the weights it began with, so no other training resumes from its checkpoints.
        name = hashlib.sha256(f"{spec.key} {_fingerprint(model)}".encode()).hexdigest()[:16]
        with claim_folder(home, name) as work:
            state = TrainState(model.network, make_optimizer(model.network, spec), clock.now())
            before, after = _train(state, spec, corpus, builder, work, _after_step(work, spec, request))
            write_model(model, source_folder, builder.objective, home, name)
    return ContinuedTraining(folder=home, spec=spec, before=before, after=after, seconds=state.seconds)


def _train(
    state: TrainState,
    spec: RunSpec,
    corpus: TextCorpus,
    builder: ExampleBuilder,
    work: Path,
    on_step: Callable[[TrainState], None],
) -> tuple[Evaluation, Evaluation]:
    """From the last checkpoint to the end: the held-out losses before and after. Raises TaskError."""
    sequences = max(2, spec.eval_tokens // spec.shape.sequence_tokens)
    # Before the checkpoint is restored: the loss of the weights that the whole training began with.
    before = finite_evaluation(state.network, builder, corpus, sequences)
    checkpoint, _ = latest_checkpoint(work, spec.steps)
    if checkpoint is not None:
        state.restore(checkpoint)
    failure = ""
    try:
        advance(state, spec, corpus, spec.steps, on_step)
        after = held_out(state.network, builder, corpus, sequences)
        # A uniform guess has the loss log V. Written with `not <=`, so that a loss that is no number fails too.
        if not after.loss <= max(before.loss, math.log(spec.shape.vocabulary)) + TOLERATED_RISE:
            failure = f"loss {after.loss:.4g} at the end, {before.loss:.4g} before"
    except Diverged as error:
        failure = str(error)
    if failure:
        atomic.delete_folder(work)
        raise TaskError(
            "the training diverged, and nothing is kept",
            expected="a loss that falls",
            got=failure,
            cure="lower the learning rate",
        )
    return before, after


def _fingerprint(model: Model) -> str:
    """Hash of the weights and the tokenizer that a training begins with."""
    digest = hashlib.sha256(model.tokenizer.name.encode())
    for name, weight in model.network.state_dict().items():
        digest.update(name.encode() + weight.contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """Let torch use a number of threads (0: as many as now), and afterwards as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _spec(builder: ExampleBuilder, corpus: TextCorpus, request: ContinueRequest) -> RunSpec:
    """The run. Raises DesignError when its tokens do not make two steps."""
    length, tokens, usual = builder.shape.sequence_tokens, request.tokens, TrainingSection()
    smallest = 2 if builder.objective.next_sentence else 1  # a next-sentence pair needs another sequence's half
    batch = max(smallest, round(request.batch_tokens / length)) * length
    if not 2 * batch <= tokens < 1e15:
        raise DesignError(
            "training needs at least two steps",
            expected=f"{2 * batch} tokens or more",
            got=f"{tokens:g} tokens",
            cure="raise tokens, or lower batch_tokens",
        )
    # What this verb has no option for is as in a study; warm-up, a stable part, and a decay to 0.
    return RunSpec(
        shape=builder.shape,
        tokens=round(tokens / batch) * batch,
        batch_tokens=batch,
        learning_rate=request.learning_rate,
        warmup_tokens=round(request.warmup_share * tokens),
        schedule="wsd",
        cooldown=request.cooldown,
        final_learning_rate_share=0.0,
        weight_decay=request.weight_decay,
        beta1=usual.beta1,
        beta2=usual.beta2,
        clip=usual.clip,
        precision=request.precision,
        threads=torch.get_num_threads(),
        seed=request.seed,
        objective=builder.objective,
        corpus=corpus.address,
        tokenizer=corpus.tokenizer,
        eval_set=corpus.eval_set,
        eval_tokens=int(usual.eval_tokens),
        software=f"recipe {RECIPE}, torch {torch.__version__}",
        repeat=request.repeat,
    )


def _check_spec(corpus: TextCorpus, spec: RunSpec) -> None:
    """Raise, in this verb's words, CorpusError for a text that is too short and DesignError for too little memory."""
    try:
        check_memory([spec], 1, available_memory())
    except DesignError as error:
        cure = "lower batch_tokens or context"
        raise DesignError(error.message, expected=error.expected, got=error.got, cure=cure) from None
    window = spec.objective.window(spec.shape)
    try:
        check_tokens(corpus, spec.sequences_read, window, spec.repeat)
    except CorpusError as error:
        if windows(corpus.validation_tokens, window) < 2:
            message, cure = "too little of the text is held out", "give more text, or a larger validation_share"
        else:
            message, cure = "the text is too short", "give more text, or fewer tokens, or repeat (--repeat)"
        raise CorpusError(message, expected=error.expected, got=error.got, cure=cure) from None


def _after_step(work: Path, spec: RunSpec, request: ContinueRequest) -> Callable[[TrainState], None]:
    """Report each step, write a checkpoint when it is time, and stop where asked to."""
    saved_at = time.monotonic()

    def on_step(state: TrainState) -> None:
        nonlocal saved_at
        request.report(state.step, spec.steps, state.window[-1] if state.window else state.curve[-1][1])
        stopping = request.should_stop()
        due = time.monotonic() - saved_at >= request.checkpoint_seconds
        if stopping or due or state.step == spec.steps:
            state.snapshot().write(work)
            saved_at = time.monotonic()
        if stopping:
            raise KeyboardInterrupt

    return on_step
