from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from foretoken.compute.objective import Objective
from foretoken.data import TokenizedCorpus, prepare_corpus, windows
from foretoken.errors import LeaseLostError
from foretoken.launchers.jobs import WorkerContext
from foretoken.models import Network
from foretoken.runs.corpus_section import CorpusSection, LanguageSection
from foretoken.runs.record import RunRecord
from foretoken.runs.spec import RunSpec
from foretoken.store.atomic import write_json
from foretoken.store.checkpoints import in_folder
from foretoken.store.store import Store
from foretoken.training import loop
from foretoken.training.checkpoint import latest_checkpoint
from foretoken.training.evaluate import evaluate
from foretoken.training.optimizer import learning_rate_share
from foretoken.training.state import TrainState
from foretoken.training.train import Stopped, train

from .small import SPEC

LANGUAGE = CorpusSection(source="zipf_markov", language=LanguageSection(symbols=32, tokens=300_000))
BYTES = replace(SPEC, shape=replace(SPEC.shape, vocabulary=256), dropout=0.1, repeat=True)
"""For a corpus that is shorter than the run."""
DETERMINED = ("status", "loss", "loss_se", "curve", "parent", "tokens_trained")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> TokenizedCorpus:
    return prepare_corpus(LANGUAGE, tmp_path_factory.mktemp("corpora"), 0)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> TokenizedCorpus:
    """A corpus of fewer tokens than the runs see."""
    home = tmp_path_factory.mktemp("short")
    stories = [json.dumps({"text": f"Story {n}: the {n % 13} bears met {n * n} foxes.\n"}) for n in range(60)]
    (home / "stories.jsonl").write_text("\n".join(stories))
    section = CorpusSection(source="text", path=str(home / "stories.jsonl"), validation_share=0.3)
    return prepare_corpus(section, home / "corpora", 0)


def place(folder: Path, corpus: TokenizedCorpus, **more: Any) -> WorkerContext:
    return WorkerContext(folder=folder, corpus=corpus.folder, peak_flops=1e9, **more)


def determined(records: list[RunRecord]) -> list[dict[str, Any]]:
    return [{name: getattr(record, name) for name in DETERMINED} for record in records]


def stop_after(calls: int) -> Any:
    counter = itertools.count()
    return lambda: next(counter) >= calls


def test_a_run_learns_and_is_recorded(tmp_path: Path, corpus: TokenizedCorpus) -> None:
    (record,) = train([SPEC], place(tmp_path, corpus))
    assert record.is_finished
    assert record.loss is not None
    assert corpus.entropy_rate is not None
    assert corpus.entropy_rate < record.loss < math.log(32) - 0.2
    assert record.loss_se is not None
    assert 0 < record.loss_se < 0.1
    assert record.mfu is not None
    assert record.mfu > 0
    assert record.kwh_source in ("estimate", "measured")
    assert [record] == Store(tmp_path).records()
    assert not list((tmp_path / "trunks").rglob("step-*"))


def test_tokens_seen_once_are_all_of_them_until_the_text_ends(
    tmp_path: Path, corpus: TokenizedCorpus, short: TokenizedCorpus
) -> None:
    """Positions of special tokens count as the tokens of a run do."""
    masked = replace(
        SPEC,
        tokens=4 * 256,
        objective=Objective(kind="masked"),
        shape=replace(SPEC.shape, family="encoder", vocabulary=36),
    )
    for number, spec in enumerate((SPEC, masked)):
        (record,) = train([spec], place(tmp_path / str(number), corpus))
        assert record.unique_tokens == spec.tokens
    (record,) = train([BYTES], place(tmp_path / "short", short))
    assert record.unique_tokens == windows(short.train_tokens, BYTES.objective.window(BYTES.shape)) * 16 < BYTES.tokens


@pytest.mark.parametrize("schedule", ["wsd", "cosine"])
def test_resuming_at_every_step_gives_the_same_bits(schedule: str, tmp_path: Path, short: TokenizedCorpus) -> None:
    """Past an epoch's edge, with dropout, in the cooldown: the weights, their moments and the record, bit for bit."""
    spec = replace(BYTES, schedule=schedule, tokens=20 * 256)
    assert spec.tokens > 2 * windows(short.train_tokens, spec.objective.window(spec.shape)) * spec.shape.context
    whole, states = [], {}
    for step in range(21):
        home = place(tmp_path / str(step), short)
        with_end(spec, home, step, states)
        whole += determined(Store(home.folder).records())
    assert whole == whole[:1] * 21
    assert set(states) == {20}
    assert len(states[20]) == 1


class Noted:
    """A scorer that notes at which steps it was asked."""

    def __init__(self, *steps: int) -> None:
        self.steps, self.scored = steps, set[tuple[str, int]]()

    def lacks(self, spec: RunSpec) -> bool:
        return self.first_wanted(spec) is not None

    def wants(self, spec: RunSpec, step: int) -> bool:
        return step in self.steps and (spec.key, step) not in self.scored

    def first_wanted(self, spec: RunSpec) -> int | None:
        return next((step for step in self.steps if step < spec.steps and self.wants(spec, step)), None)

    def score_kept(self, spec: RunSpec) -> bool:
        return False

    def score(self, specs: Sequence[RunSpec], step: int, network: Network, corpus: TokenizedCorpus) -> None:
        self.scored |= {(spec.key, step) for spec in specs}


@pytest.mark.parametrize(("stopped", "asked"), [(12, (3, 8)), (12, (8, 12, 16)), (17, (16,)), (28, (5, 22, 27))])
def test_steps_that_are_asked_for_behind_a_checkpoint_are_scored_too(
    stopped: int, asked: tuple[int, ...], tmp_path: Path, corpus: TokenizedCorpus
) -> None:
    """On the trunk of two runs, and in the cooldown of the first, which is at steps 15 to 20, the second's at 30 on."""
    runs = [SPEC.with_tokens(256 * steps) for steps in (20, 40)]
    home, scorer = place(tmp_path, corpus), Noted(*asked)
    with pytest.raises(Stopped):
        train(runs, home, stop=stop_after(stopped))
    train(runs, home, scorer=scorer)
    assert scorer.scored >= {(runs[1].key, step) for step in asked}
    assert scorer.scored >= {(runs[0].key, step) for step in asked if step < 20}


def with_end(spec: RunSpec, home: WorkerContext, step: int, states: dict[int, set[bytes]]) -> None:
    """Train a run that is stopped after `step` steps and resumed; keep its state as it is at the end."""

    def keep(state: TrainState, *_: Any) -> Any:
        tensors = b"".join(name.encode() + tensor.numpy().tobytes() for name, tensor in state.tensors().items())
        states.setdefault(state.step, set()).add(hashlib.sha256(tensors).digest())
        return evaluate(state, *_)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("foretoken.training.train.evaluate", keep)
        if step:
            with pytest.raises(Stopped):
                train([spec], home, stop=stop_after(step - 1))
        train([spec], home)


def test_a_branch_is_the_run_itself(tmp_path: Path, corpus: TokenizedCorpus) -> None:
    """A run that leaves a trunk has the same loss and curve, bit for bit, as the same run trained alone."""
    runs = [SPEC.with_tokens(256 * steps) for steps in (20, 30, 40)]
    branches = train(runs, place(tmp_path / "trunk", corpus))
    assert [record.tokens_trained // 256 for record in branches] == [20, 30 - 15, 40 - 22]
    for run, branch in zip(runs, branches, strict=True):
        (alone,) = train([run], place(tmp_path / run.key, corpus))
        assert (alone.loss, alone.loss_se, alone.curve) == (branch.loss, branch.loss_se, branch.curve)
        assert branch.parent == run.trunk


def test_a_stopped_trunk_goes_on_in_its_branches(tmp_path: Path, short: TokenizedCorpus) -> None:
    runs = [BYTES.with_tokens(256 * steps) for steps in (12, 16)]
    whole = determined(train(runs, place(tmp_path / "whole", short)))
    for calls in range(1, 19):
        home = place(tmp_path / str(calls), short, checkpoint_seconds=0.0)
        with pytest.raises(Stopped):
            train(runs, home, stop=stop_after(calls))
        assert determined(train(runs, home)) == whole, calls


@pytest.mark.parametrize("how", ["flip", "truncate", "zero the tail"])
def test_a_damaged_checkpoint_is_passed_over_and_told(how: str, tmp_path: Path, corpus: TokenizedCorpus) -> None:
    home = place(tmp_path, corpus, checkpoint_seconds=0.0, attempt=None)
    spec = SPEC.with_tokens(20 * 256)
    whole = determined(train([spec], place(tmp_path / "whole", corpus)))
    with pytest.raises(Stopped):
        train([spec], home, stop=stop_after(10))
    newest = in_folder(Store(tmp_path).trunk_folder(spec.trajectory))[-1]
    damage(newest.path / "tensors.safetensors", how)
    (record,) = train([spec], home)
    assert determined([record]) == whole
    told = [event for event in record.events if "damaged and was set aside" in event]
    assert len(told) == 1
    assert f"step {newest.step} " in told[0]
    assert f"resumed at step {newest.step - 1}" in record.events
    assert newest.path.with_name(newest.path.name + ".corrupt").is_dir()
    assert in_folder(newest.path.parent) == []


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    new = {
        "flip": content[:-3] + bytes([content[-3] ^ 1]) + content[-2:],
        "truncate": content[: len(content) // 2],
        "zero the tail": content[:-64] + bytes(64),
    }
    path.write_bytes(new[how])


def test_who_has_lost_the_study_saves_and_records_nothing(tmp_path: Path, corpus: TokenizedCorpus) -> None:
    """An owner that was taken over trains on until its next write, and then stops."""
    write_json(tmp_path / "attempts" / "000000002.json", {})
    for seconds in (0.0, 1e9):
        with pytest.raises(LeaseLostError):
            train([SPEC], place(tmp_path, corpus, attempt=1, checkpoint_seconds=seconds))
    assert not list(tmp_path.rglob("record*.json"))
    assert not list(tmp_path.rglob("step-*"))


def test_what_has_a_record_is_not_trained_again(tmp_path: Path, corpus: TokenizedCorpus) -> None:
    train([SPEC], place(tmp_path, corpus))
    path = Store(tmp_path).record_path(SPEC.key)
    before = path.stat().st_mtime_ns
    train([SPEC], place(tmp_path, corpus), stop=lambda: True)
    assert path.stat().st_mtime_ns == before


def test_a_blow_up_ends_as_diverged_and_its_branches_too(tmp_path: Path, corpus: TokenizedCorpus) -> None:
    wild = replace(SPEC, learning_rate=1e4, clip=1e9)
    records = train([wild, wild.with_tokens(60 * 256)], place(tmp_path, corpus))
    assert [record.status for record in records] == ["diverged", "diverged"]
    assert all(record.loss is None and record.events for record in records)


def test_not_a_number_ends_the_run(tmp_path: Path, corpus: TokenizedCorpus, monkeypatch: pytest.MonkeyPatch) -> None:
    def nan_at_step_5(network: Any, examples: Any) -> tuple[torch.Tensor, None]:
        calls.append(1)
        return torch.full((1,), float("nan") if len(calls) == 5 else 1.0) * next(network.parameters()).sum(), None

    calls: list[int] = []
    monkeypatch.setattr(loop, "losses", nan_at_step_5)
    (record,) = train([SPEC], place(tmp_path, corpus))
    assert record.has_diverged
    assert "step 5" in record.events[-1]


def test_an_exception_is_recorded_and_tried_again_later(
    tmp_path: Path, corpus: TokenizedCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(loop, "losses", lambda *_: 1 / 0)
        (record,) = train([SPEC], place(tmp_path, corpus))
    assert record.has_failed
    assert "ZeroDivisionError" in (record.error or "")
    (again,) = train([SPEC], place(tmp_path, corpus))
    assert again.status == "finished"


def test_schedules() -> None:
    shares = [learning_rate_share(SPEC, step) for step in range(SPEC.steps)]
    assert shares[:4] == [0.25, 0.5, 0.75, 1.0]
    assert shares[4:30] == [1.0] * 26
    assert all(a > b > 0 for a, b in itertools.pairwise(shares[29:]))
    longer = [learning_rate_share(SPEC.with_tokens(80 * 256), step) for step in range(30)]
    assert longer == shares[:30]
    cosine = [
        learning_rate_share(replace(SPEC, schedule="cosine", final_learning_rate_share=0.1), step) for step in range(40)
    ]
    assert cosine[4] == 1.0
    assert 0.1 < cosine[-1] < 0.11


def test_checkpoints_hold_every_tensor(tmp_path: Path, corpus: TokenizedCorpus) -> None:
    state = TrainState.start(SPEC)
    loop.advance(state, SPEC, corpus, 3, lambda _: None)
    state.snapshot().write(tmp_path)
    saved, troubles = latest_checkpoint(tmp_path)
    assert saved is not None
    assert troubles == []
    assert set(saved.tensors) == set(state.tensors())
    assert all(torch.equal(saved.tensors[name], tensor) for name, tensor in state.tensors().items())
    assert sum(name.startswith("optimizer.") for name in saved.tensors) == 3 * len(list(state.network.parameters()))
