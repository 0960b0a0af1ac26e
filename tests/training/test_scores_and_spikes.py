"""Scores on the way are those of the network that the run ends with, wherever a spike sent its training back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from foretoken.data import TokenizedCorpus
from foretoken.launchers.jobs import WorkerContext
from foretoken.models import Network
from foretoken.runs.spec import RunSpec, SpikePolicy
from foretoken.runs.task_score import RunScores, TaskScore
from foretoken.scoring.in_training import TrainingScorer
from foretoken.store.scores import evaluation_path, keep_evaluation, put_scores, score_files, scores_of, scores_path
from foretoken.store.store import Store
from foretoken.tasks.evaluation import Evaluation
from foretoken.tasks.made import make_task
from foretoken.training.loop import advance
from foretoken.training.state import TrainState
from foretoken.training.train import train

from .small import SPEC as FULL

ROLL_BACK = SpikePolicy(policy="roll_back", sigmas=50.0, window=8, rewind=5, skip_batches=12)
SPEC = replace(FULL, learning_rate=2e-3, spikes=ROLL_BACK)
LONGER = replace(SPEC, tokens=60 * 256)
"""A branch of the same trunk, which SPEC leaves at step 30."""
ASKED = Evaluation(tasks=(make_task("copy", questions=2),), when=(0.1, 0.45, 0.55, 0.7), when_of="all")
ON_THE_TRUNK, ON_THE_BRANCH = {22: float("nan")}, {33: float("nan")}
"""Batches of the spikes: from the second SPEC goes back to step 25, which was the trunk's."""


CUTS = (21, 22, 27, 34, 43)
"""Before and after a score, a spike, and the score that is made again."""


class Killed(BaseException):
    """As a signal that nobody catches: nothing more is saved."""


class WeightsScorer(TrainingScorer):
    """A score that is another one for every network."""

    def score(self, specs: Sequence[RunSpec], step: int, network: Network, corpus: TokenizedCorpus) -> None:
        row = TaskScore(task="weights", metric="sum", shots=0, score=weights(network), score_se=None, n=1)
        for spec in specs:
            found = RunScores(
                run=spec.key, evaluation=ASKED.digest, step=step, steps=spec.steps, seconds=0, scores=(row,)
            )
            put_scores(self.store.folder, found)


def weights(network: Network) -> float:
    return float(sum(weight.double().abs().sum() for weight in network.state_dict().values()))


def wanted(spec: RunSpec, corpus: TokenizedCorpus) -> dict[int, float]:
    """What a run scores that was trained alone and never stopped: of each step the last network counts."""
    state, seen = TrainState.start(spec), dict[int, float]()
    advance(state, spec, corpus, spec.steps, lambda state: seen.update({state.step: weights(state.network)}))
    return {step: seen[step] for step in ASKED.steps(spec)}


def scored(folder: Path, spec: RunSpec) -> dict[int, float]:
    return {one.step: one.scores[0].score for one in scores_of(folder, [spec.key])}


def attempt(folder: Path, corpus: TokenizedCorpus, specs: list[RunSpec], after: int, saves: bool = True) -> None:
    """Train until so many steps were made, those that were undone included, and be killed there."""
    left = iter(range(after))

    def stop() -> bool:
        if next(left, None) is None:
            raise Killed
        return False

    context = WorkerContext(folder=folder, corpus=corpus.folder, checkpoint_seconds=0.0 if saves else 1e9)
    keep_evaluation(folder, ASKED)
    scorer = WeightsScorer(Store(folder), evaluation_path(folder, ASKED.digest))
    try:
        train(specs, context, stop=stop, scorer=scorer)
    except Killed:
        return


@pytest.mark.parametrize("spike", [{}, ON_THE_TRUNK, ON_THE_BRANCH, ON_THE_TRUNK | {46: float("nan")}])
def test_scores_are_those_of_the_network_that_stays(
    spike: dict[int, float], corpus: TokenizedCorpus, spoil: Any, tmp_path: Path
) -> None:
    spoil(spike)
    expected = [wanted(spec, corpus) for spec in (SPEC, LONGER)]
    attempt(tmp_path, corpus, [SPEC, LONGER], after=1000)
    assert [scored(tmp_path, spec) for spec in (SPEC, LONGER)] == expected


@pytest.mark.parametrize("saves", [True, False])
@pytest.mark.parametrize("spike", [ON_THE_TRUNK, ON_THE_BRANCH])
def test_a_run_that_was_killed_anywhere_scores_the_same(
    spike: dict[int, float], saves: bool, corpus: TokenizedCorpus, spoil: Any, tmp_path: Path
) -> None:
    spoil(spike)
    expected = wanted(SPEC, corpus)
    for after in CUTS:
        folder = tmp_path / str(after)
        attempt(folder, corpus, [SPEC, LONGER], after, saves)
        attempt(folder, corpus, [SPEC], after=1000)
        assert scored(folder, SPEC) == expected, after


def test_a_score_that_is_lost_is_made_again_of_the_network_that_stays(
    corpus: TokenizedCorpus, spoil: Any, tmp_path: Path
) -> None:
    """Killed before the spike, with all files there: the one that was made again is not the last word."""
    spoil(ON_THE_TRUNK)
    expected = wanted(SPEC, corpus)
    attempt(tmp_path, corpus, [SPEC], after=1000)
    store = Store(tmp_path)
    store.seal_records()
    assert len(store.seals) == 1 + len(expected)
    scores_path(tmp_path, SPEC.key, ASKED.digest, 22).unlink()
    store.unsettle_scores(SPEC, ASKED)
    assert len(Store(tmp_path).seals) == 1  # what may change has no seal
    attempt(tmp_path, corpus, [SPEC], after=21)
    assert len(score_files(tmp_path)) == len(expected) - 1
    Store(tmp_path).seal_records()
    assert len(Store(tmp_path).seals) == 1
    attempt(tmp_path, corpus, [SPEC], after=1000)
    assert scored(tmp_path, SPEC) == expected


def test_scores_on_other_tasks_are_dropped_too(corpus: TokenizedCorpus, spoil: Any, tmp_path: Path) -> None:
    spoil(ON_THE_TRUNK)
    attempt(tmp_path, corpus, [SPEC], after=21)
    assert sorted(scored(tmp_path, SPEC)) == [4, 18, 22]
    context = WorkerContext(folder=tmp_path, corpus=corpus.folder)
    train([SPEC], context)  # without any tasks
    assert sorted(scored(tmp_path, SPEC)) == [4]
