"""Networks are scored where they are trained, while they are in memory: at a run's end, and at steps on its way."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from foretoken.compute.objective import CLS, SEP
from foretoken.data import TokenizedCorpus
from foretoken.data.tokenizer import Tokenizer
from foretoken.data.tokenizer_files import load_tokenizer
from foretoken.evals import TuningOptions, tune
from foretoken.evals.formats import input_format
from foretoken.evals.task_files import read_task
from foretoken.evals.tasks import Task
from foretoken.generation import open_model
from foretoken.generation.model import Model
from foretoken.launchers.jobs import TrainingJob
from foretoken.launchers.launcher import Report, Stop
from foretoken.models import Network
from foretoken.objectives.examples import example_builder
from foretoken.runs.spec import RunSpec
from foretoken.runs.task_score import QuestionValues, RunScores, TaskScore
from foretoken.scoring.masks import reader_of
from foretoken.scoring.run_task import Marks, metrics_for, run_task
from foretoken.store.scores import put_scores, read_evaluation, scores_path
from foretoken.store.store import Store
from foretoken.store.weights import are_committed, check_weights
from foretoken.tasks.evaluation import Tuning
from foretoken.training.train import Stopped, train


class TrainingScorer:
    """Scores networks of a study on its tasks."""

    def __init__(self, store: Store, path: Path) -> None:
        self.store, self.path, self.evaluation = store, path, read_evaluation(path)

    def lacks(self, spec: RunSpec) -> bool:
        """Whether a run has finished without all of its scores."""
        return self.store.lacks_scores(spec, self.evaluation)

    def wants(self, spec: RunSpec, step: int) -> bool:
        """Whether the network of a run is to be scored at a step and has not been."""
        path = scores_path(self.store.folder, spec.key, self.evaluation.digest, step)
        return step in self.evaluation.steps(spec) and not path.is_file()

    def first_wanted(self, spec: RunSpec) -> int | None:
        """The first step before its end at which the network of a run is yet to be scored; None where there is none."""
        return next((step for step in self.evaluation.steps(spec)[:-1] if self.wants(spec, step)), None)

    def score_kept(self, spec: RunSpec) -> bool:
        """Score the kept weights of a run; False where they are not kept, or it is to be scored on its way."""
        folder = self.store.weights_folder(spec.key)
        if self.first_wanted(spec) is not None or not are_committed(folder):
            return False
        check_weights(folder)
        began = time.perf_counter()
        model = open_model(folder)
        marks, tuned = list(self._marks(model)), self._tuned(model)
        self._keep([spec], spec.steps, marks, tuned, time.perf_counter() - began)
        return True

    def score(self, specs: Sequence[RunSpec], step: int, network: Network, corpus: TokenizedCorpus) -> None:
        """Score a network that some runs share at a step, and keep its scores for each of them."""
        began, training = time.perf_counter(), network.training
        network.eval()
        # What is drawn here must not move what dropout draws in the next step.
        with torch.random.fork_rng(devices=[]):
            model = model_of(network, specs[0], corpus)
            marks, tuned = list(self._marks(model)), self._tuned(model)
        network.train(training)
        self._keep(specs, step, marks, tuned, time.perf_counter() - began)

    def _keep(
        self, specs: Sequence[RunSpec], step: int, marks: Sequence[Marks], tuned: TaskScore | None, seconds: float
    ) -> None:
        rows = [*(row for one in marks for row in one.scores()), *([tuned] if tuned else [])]
        for spec in specs:
            at = None if step == spec.steps else step
            scores = RunScores(
                run=spec.key,
                evaluation=self.evaluation.digest,
                step=step,
                steps=spec.steps,
                seconds=seconds,
                scores=tuple(replace(row, step=at) for row in rows),
                questions=tuple(values for one in marks for values in question_values(one)),
            )
            # Written before the record is: a record without scores would be trained again for them.
            put_scores(self.store.folder, scores)

    def _tuned(self, model: Model) -> TaskScore | None:
        """What a copy of the network scores once it is tuned; the network stays as it is."""
        tuning = self.evaluation.tuning
        if tuning is None:
            return None
        task = _task_of(self.path.with_name(tuning.file), tuning, model.tokenizer)
        options = TuningOptions(learning_rates=tuning.learning_rates, epochs=tuning.epochs)
        result = tune(model.network, task, options, specials=model.specials, seeds=range(tuning.seeds))
        score = result.score
        return TaskScore(
            task=tuning.name,
            metric=f"finetuned_{result.metric}",
            shots=0,
            score=score.mean,
            score_se=tuned_error([seed.test_se for seed in result.tuned], score.se),
            n=len(task.test),
        )

    def _marks(self, model: Model) -> Iterator[Marks]:
        reader = reader_of(model)
        for task in self.evaluation.tasks:
            metrics = metrics_for(reader, task, self.evaluation.metrics)
            for shots in self.evaluation.shots:
                yield run_task(reader, task, shots, self.evaluation.seeds, metrics)


def tuned_error(of_examples: Sequence[float], over_seeds: float | None) -> float:
    """Standard error of a mean over seeds, all of them scored on the same test examples, which are a sample, too.

    `of_examples` has the error of each seed's score. The result is an upper bound where seeds differ in which of the
    examples they get right.
    """
    sampling = math.fsum(error**2 for error in of_examples) / len(of_examples)
    return math.sqrt(sampling + (over_seeds or 0.0) ** 2)


def question_values(marks: Marks) -> Iterator[QuestionValues]:
    """What each question gave, means over seeds; None of one that does not fit into the context."""
    asked = {id(question): number for number, question in enumerate(marks.questions)}
    places = [asked.get(id(question)) for question in marks.task.questions]
    for metric, values_SN in marks.by_metric.items():
        means_N = values_SN.mean(axis=0)
        values = tuple(None if place is None else float(means_N[place]) for place in places)
        yield QuestionValues(task=marks.task.name, metric=metric, shots=marks.shots, values=values)


def model_of(network: Network, spec: RunSpec, corpus: TokenizedCorpus) -> Model:
    """A network that is being trained, with what it takes to read and write text."""
    specials = example_builder(spec.objective, spec.shape, corpus).specials
    masked = spec.objective.is_masked
    return Model(
        name=spec.key,
        network=network,
        tokenizer=load_tokenizer(corpus.folder),
        objective=spec.objective,
        specials=specials,
        before=(specials[CLS],) if masked else (),
        after=(specials[SEP],) if masked else (),
    )


def _task_of(path: str | Path, tuning: Tuning, tokenizer: Tokenizer) -> Task:
    # The study file has no names of columns.
    return read_task(path, tuning.kind, tokenizer, classes=tuning.classes, renames=False)


def check_examples(path: str, tuning: Tuning, corpus: TokenizedCorpus, run: RunSpec) -> None:
    """Raise TaskError where a run's network could not be tuned on a file of examples: before anything is trained."""
    task = _task_of(path, tuning, load_tokenizer(corpus.folder))
    input_format(task, run.shape, example_builder(run.objective, run.shape, corpus).specials)


def train_and_score_job(job_json: Mapping[str, Any], report: Report, stop: Stop) -> dict[str, str]:
    """What a launcher calls with a `TrainingJob` whose networks are scored: the status of each run by its key."""
    job = TrainingJob.from_json(job_json)
    assert job.context.evaluation is not None
    store = Store(job.context.folder, job.context.attempt)
    try:
        scorer = TrainingScorer(store, job.context.evaluation)
        records = train(job.runs, job.context, report, stop, scorer)
    except Stopped:
        return {}
    return {record.spec.key: record.status for record in records}
