from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from foretoken.compute.shape import ModelShape
from foretoken.data import TokenizedCorpus, prepare
from foretoken.runs.record import RunRecord
from foretoken.runs.spec import RunSpec
from foretoken.runs.store import Store
from foretoken.runs.study_file import CorpusSection, LanguageSection
from foretoken.training import loop
from foretoken.training.checkpoint import latest_checkpoint
from foretoken.training.schedule import learning_rate_share
from foretoken.training.state import TrainState
from foretoken.training.train import Stopped, Workplace, train

LANGUAGE = CorpusSection(source="zipf_markov", language=LanguageSection(symbols=32, tokens=300_000))
SPEC = RunSpec(
    shape=ModelShape(layers=1, width=16, heads=2, context=16, vocabulary=32, norm="rms", bias=False),
    tokens=40 * 256, batch_tokens=256, learning_rate=2e-2, warmup_tokens=4 * 256, schedule="wsd", cooldown=0.25,
    final_learning_rate=0.0, weight_decay=0.1, beta1=0.9, beta2=0.95, clip=1.0, precision="float32", threads=1, seed=0,
    objective="causal", corpus="c", tokenizer="t", eval_set="v", eval_tokens=1024, software="s",
)  # fmt: skip
DETERMINED = ("status", "loss", "loss_se", "curve", "parent", "tokens_trained")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> TokenizedCorpus:
    return prepare(LANGUAGE, tmp_path_factory.mktemp("corpora"), 0)


def place(folder: Path, corpus: TokenizedCorpus, **more: Any) -> Workplace:
    return Workplace(folder=str(folder), corpus=str(corpus.folder), peak_flops=1e9, busy_threads=1, **more)


def determined(records: list[RunRecord]) -> list[dict[str, Any]]:
    return [{name: getattr(record, name) for name in DETERMINED} for record in records]


def stop_after(calls: int) -> Any:
    counter = itertools.count()
    return lambda: next(counter) >= calls


def test_a_run_learns_and_is_recorded(tmp_path: Path, corpus: TokenizedCorpus) -> None:
    (record,) = train([SPEC], place(tmp_path, corpus))
    assert record.status == "finished"
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


@pytest.mark.parametrize("schedule", ["wsd", "cosine"])
def test_resuming_at_every_step_gives_the_same_bits(schedule: str, tmp_path: Path, corpus: TokenizedCorpus) -> None:
    spec = replace(SPEC, schedule=schedule, tokens=20 * 256)
    whole = determined(train([spec], place(tmp_path / "whole", corpus)))
    for step in range(20):
        home = place(tmp_path / str(step), corpus)
        with pytest.raises(Stopped):
            train([spec], home, stop=stop_after(step))
        assert determined(train([spec], home)) == whole


def test_a_branch_is_the_run_itself(tmp_path: Path, corpus: TokenizedCorpus) -> None:
    """A run that leaves a trunk has the same loss and curve, bit for bit, as the same run trained alone."""
    runs = [SPEC.with_tokens(256 * steps) for steps in (20, 30, 40)]
    branches = train(runs, place(tmp_path / "trunk", corpus))
    assert [record.tokens_trained // 256 for record in branches] == [20, 30 - 15, 40 - 22]
    for run, branch in zip(runs, branches, strict=True):
        (alone,) = train([run], place(tmp_path / run.key, corpus))
        assert (alone.loss, alone.loss_se, alone.curve) == (branch.loss, branch.loss_se, branch.curve)
        assert branch.parent == run.trunk


def test_a_stopped_trunk_goes_on_in_its_branches(tmp_path: Path, corpus: TokenizedCorpus) -> None:
    runs = [SPEC.with_tokens(256 * steps) for steps in (12, 16)]
    whole = determined(train(runs, place(tmp_path / "whole", corpus)))
    for calls in range(1, 19):
        home = place(tmp_path / str(calls), corpus, checkpoint_seconds=0.0)
        with pytest.raises(Stopped):
            train(runs, home, stop=stop_after(calls))
        assert determined(train(runs, home)) == whole, calls


def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path, corpus: TokenizedCorpus) -> None:
    home = place(tmp_path, corpus, checkpoint_seconds=0.0)
    whole = determined(train([SPEC], place(tmp_path / "whole", corpus)))
    with pytest.raises(Stopped):
        train([SPEC], home, stop=stop_after(10))
    newest = max((tmp_path / "trunks").rglob("step-*"))
    damaged = newest / "tensors.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-3] + b"abc")
    saved = latest_checkpoint(newest.parent)
    assert saved is not None
    assert saved.step == 10
    assert determined(train([SPEC], home)) == whole


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
    def nan_at_step_5(network: Any, inputs: Any, targets: Any) -> torch.Tensor:
        calls.append(1)
        return torch.full((1,), float("nan") if len(calls) == 5 else 1.0) * next(network.parameters()).sum()

    calls: list[int] = []
    monkeypatch.setitem(loop.OBJECTIVES, "causal", nan_at_step_5)
    (record,) = train([SPEC], place(tmp_path, corpus))
    assert record.status == "diverged"
    assert "step 5" in record.events[-1]


def test_an_exception_is_recorded_and_tried_again_later(
    tmp_path: Path, corpus: TokenizedCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setitem(loop.OBJECTIVES, "causal", lambda *_: 1 / 0)
        (record,) = train([SPEC], place(tmp_path, corpus))
    assert record.status == "failed"
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
        learning_rate_share(replace(SPEC, schedule="cosine", final_learning_rate=0.1), step) for step in range(40)
    ]
    assert cosine[4] == 1.0
    assert 0.1 < cosine[-1] < 0.11


def test_checkpoints_hold_every_tensor(tmp_path: Path, corpus: TokenizedCorpus) -> None:
    state = TrainState.start(SPEC)
    loop.advance(state, SPEC, corpus, 3, lambda _: None)
    state.snapshot().write(tmp_path)
    saved = latest_checkpoint(tmp_path)
    assert saved is not None
    assert set(saved.tensors) == set(state.tensors())
    assert all(torch.equal(saved.tensors[name], tensor) for name, tensor in state.tensors().items())
    assert sum(name.startswith("optimizer.") for name in saved.tensors) == 3 * len(list(state.network.parameters()))
