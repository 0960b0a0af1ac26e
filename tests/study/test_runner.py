"""The whole line on a study of seconds: run, stop, kill, resume, refuse, report."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from foretoken.cli import app
from foretoken.errors import CorpusError, RefusedError, StoreError, StudyBusyError
from foretoken.runs.record import RunRecord
from foretoken.runs.study_file import Study, load_study
from foretoken.store.atomic import write_file
from foretoken.store.checkpoints import commit
from foretoken.store.finished import unmark
from foretoken.store.format import format_json
from foretoken.store.lease import Lease
from foretoken.store.seals import unseal
from foretoken.store.store import Store, record_name
from foretoken.study.design_file import read_design
from foretoken.study.maintenance import verify
from foretoken.study.preview import dry_run
from foretoken.study.progress import ProgressListener
from foretoken.study.results import gather
from foretoken.study.run_study import run
from foretoken.study.runner import StudyRunner
from foretoken.study.study_status import status

FORETOKEN = [sys.executable, "-m", "foretoken"]


def changed(study: Study, **sections: Any) -> Study:
    """The study with other sections or keys."""
    return Study.model_validate({**study.model_dump(), **sections})


def written(folder: Path) -> dict[Path, tuple[int, bytes]]:
    """Every path below a folder, with the time of its last change and its bytes."""
    found = [folder, *folder.rglob("*")]
    return {path: (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"") for path in found}


def test_a_study_ends_in_a_scored_forecast(undisturbed: Path) -> None:
    result = status(undisturbed)
    counts, forecast, outcome = result.counts, result.forecast, result.outcome
    assert forecast
    assert outcome
    assert counts.planned == counts.finished == len(Store(undisturbed).records())
    assert counts.running == 0
    assert forecast.low < forecast.loss < forecast.high
    assert 3 <= forecast.compute_factor < 3.2
    assert forecast.frozen_at < outcome.started_at < outcome.finished_at
    assert outcome.error == pytest.approx((forecast.loss - outcome.loss) / outcome.loss)
    assert outcome.inside == (forecast.low <= outcome.loss <= forecast.high)
    assert {"largest_run", "power_law"} <= set(outcome.rivals)
    page = (undisturbed / "report" / "index.html").read_text()
    assert f"{forecast.loss:.3f}" in page


def test_a_second_run_writes_nothing_and_gives_the_same(undisturbed: Path, mini_file: Path) -> None:
    before = written(undisturbed.parent)
    trained: list[RunRecord] = []

    class Watch(ProgressListener):
        def ended(self, record: RunRecord) -> None:
            trained.append(record)

    assert run(load_study(mini_file), undisturbed, Watch()) == status(undisturbed)
    assert not trained
    assert written(undisturbed.parent) == before


def test_a_finished_study_starts_again_when_something_changed(
    copied: Path, mini_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def finished(**changes: Any) -> bool:
        return StudyRunner(changed(load_study(mini_file), **changes), copied).is_finished()

    assert finished()
    assert not finished(seed=1)
    assert not finished(forecast={"level": 0.8})
    for name in ("foretoken.study.runner.__version__", "foretoken.study.runner.RECIPE"):
        with monkeypatch.context() as other:
            other.setattr(name, "another")
            assert not finished()
    with monkeypatch.context() as other:
        other.setattr("foretoken.study.runner.torch_version", lambda: "9.9")
        assert not finished()
    assert finished()
    next(copied.glob("runs/*/record.json")).unlink()
    assert not finished()


def test_damaged_files_are_set_aside_told_and_made_anew(copied: Path, mini_file: Path, undisturbed: Path) -> None:
    """Each kind of damage at once: the same table, the ledger as it was, and nothing thrown away."""
    paths = [path for path in sorted(copied.glob("runs/*/record.json")) if '"group": "target"' not in path.read_text()]
    damages = [
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: content.replace(b'"loss": 3', b'"loss": 2').replace(b'"loss": 2', b'"loss": 1'),
        lambda content: b"{}",
        lambda content: content[:-200] + bytes(200),
    ]
    for path, damage in zip(paths, damages, strict=False):
        path.write_bytes(damage(path.read_bytes()))
    for name in ("calibration.json", "fit.json", "approach3.json"):
        (copied / name).write_text("[")
    notes: list[str] = []

    class Watch(ProgressListener):
        def note(self, text: str) -> None:
            notes.append(text)

    before = {path: path.read_bytes() for path in (copied / "ledger").iterdir()}
    damaged = {*paths[: len(damages)], *(copied / name for name in ("calibration.json", "fit.json", "approach3.json"))}
    assert {row.path for row in dry_run(load_study(mini_file), copied).mend} == damaged
    run(load_study(mini_file), copied, Watch())
    assert Store(copied).table().digest == Store(undisturbed).table().digest
    assert (copied / "fit.json").exists()
    assert {path.with_name(path.name + ".corrupt") for path in damaged} == set(copied.rglob("*.corrupt"))
    assert all(any(str(path) in note and "renames it" in note for note in notes) for path in damaged)
    assert before == {path: path.read_bytes() for path in (copied / "ledger").iterdir()}


def test_a_fit_that_was_edited_by_hand_is_made_anew(copied: Path, mini_file: Path) -> None:
    fit = json.loads((copied / "fit.json").read_bytes())
    (copied / "fit.json").write_text(json.dumps({**fit, "status": "edited"}))
    (found,) = verify(copied)
    assert (found.path, found.remedy) == (copied / "fit.json", "remake")
    run(load_study(mini_file), copied)
    assert json.loads((copied / "fit.json").read_bytes())["forecast_parameters"] == fit["forecast_parameters"]
    assert json.loads((copied / "fit.json").read_bytes())["status"] == fit["status"]


def test_what_a_killed_worker_could_not_delete_is_deleted(copied: Path, mini_file: Path) -> None:
    """A process that dies between a record and the deletion of its checkpoints leaves them; the next run does not."""
    design = read_design(copied)
    assert design
    store, spec = Store(copied), design.runs[0]
    for home in (store.trunk_folder(spec.trajectory), store.branch_folder(spec.key)):
        commit(home, 5, 1, {"state.json": b"{}"})
    unmark(copied)
    run(load_study(mini_file), copied)
    assert not list(copied.rglob("step-*"))


def test_an_interrupted_study_gives_the_same_table(mini_file: Path, undisturbed: Path) -> None:
    """Stop the driver at each new sign of progress, then let it finish: bit for bit the same (faults/ kills it).

    Two workers do here what one did in the study that nothing disturbed.
    """
    mini_file.write_text(mini_file.read_text().replace("workers = 1", "workers = 2"))
    folder, kills = mini_file.parent / "runs" / "mini", 0
    while kills < 2:
        command = [*FORETOKEN, "run", str(mini_file), "--folder", str(folder)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr
            for line in process.stderr:
                if "loss" in line:
                    process.send_signal(signal.SIGINT)
                    kills += 1
                    break
            process.stderr.read()
        code = process.returncode
        if code == 0:
            break
        assert code == 130
    run(load_study(mini_file), folder)
    assert kills
    assert Store(folder).table().digest == Store(undisturbed).table().digest
    assert not list(folder.rglob("step-*"))


def test_a_second_driver_is_refused(mini_file: Path) -> None:
    folder = mini_file.parent / "runs" / "mini"
    with Lease(folder, 60), pytest.raises(StudyBusyError, match=f"pid {os.getpid()}"):
        run(load_study(mini_file), folder)


def test_too_little_text_is_refused_with_the_epochs_it_would_take(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("\n\n".join(f"A short line of text, number {n}." for n in range(9000)))
    path = tmp_path / "study.toml"
    path.write_text(
        f'name = "t"\n[corpus]\nsource = "text"\npath = "{tmp_path / "text.txt"}"\n[model]\ncontext = 32\n'
        "[design]\nbudgets = [1e10, 4e10]"
    )
    with pytest.raises(CorpusError, match=r"epochs"):
        run(load_study(path), tmp_path / "runs" / "t")
    assert not list((tmp_path / "runs" / "t").rglob("record.json"))


def test_a_forecast_is_never_made_after_the_fact(undisturbed: Path, mini_file: Path) -> None:
    """A small run that failed is retried later: the data change, and what was frozen before the target stands."""
    folder = mini_file.parent / "runs" / "mini"
    shutil.copytree(undisturbed, folder)
    store, before = Store(folder), status(folder)
    design = read_design(folder)
    assert design
    lost = store.record(design.runs[0].key)
    assert lost
    changed = replace(lost, loss=(lost.loss or 0) * 1.01)
    unseal(folder, [record_name(lost.spec.key)])  # as for a record that is set aside, to be made anew
    write_file(store.record_path(lost.spec.key), format_json({**changed.to_json()}))
    (folder / "fit.json").unlink()  # which was made anew then, and would contradict the record
    after = run(load_study(mini_file), folder)
    assert (after.forecast, after.outcome) == (before.forecast, before.outcome)
    assert len(list((folder / "ledger").glob("*.json"))) == 2
    assert "have changed since" in (folder / "report" / "index.html").read_text()
    shutil.rmtree(folder / "ledger")
    with pytest.raises(StoreError, match="lost since the study ended"):
        run(load_study(mini_file), folder)
    unmark(folder)
    with pytest.raises(RefusedError, match="trained before any forecast"):
        run(load_study(mini_file), folder)


def test_another_law_before_the_target_is_another_forecast(undisturbed: Path, mini_file: Path) -> None:
    text = mini_file.read_text() + 'train = false\n[forecast]\nlaw = "chinchilla"\nlevel = 0.8\n'
    mini_file.write_text(text.replace("[launch]\nworkers = 1\ntarget_threads = 1\n", ""))
    folder = mini_file.parent / "runs" / "mini"
    shutil.copytree(undisturbed / "runs", folder / "runs")
    for record in Store(folder).records():
        if record.spec.group == "target":
            Store(folder).record_path(record.spec.key).unlink()
    result = run(load_study(mini_file), folder)
    assert result["forecast"]["level"] == 0.8
    assert result["outcome"] is None
    assert result.counts.planned == result.counts.finished
    coupled = run(changed(load_study(mini_file), forecast={"law": "coupled"}), folder)
    assert coupled["forecast"]["level"] == 0.9
    assert len(list((folder / "ledger").glob("*.json"))) == 2


def test_what_the_ledger_saw_begin_has_begun(copied: Path, mini_file: Path) -> None:
    """A target whose record is taken away is trained again, and never forecast again."""
    design, runner = read_design(copied), StudyRunner(changed(load_study(mini_file), forecast={"level": 0.8}), copied)
    assert design
    shutil.rmtree(Store(copied).branch_folder(design.target.key))
    frozen = sorted((copied / "ledger").iterdir())
    with runner.owned():
        assert runner.freeze(design, runner.fit(design)).forecast.level == 0.9
    assert sorted((copied / "ledger").iterdir()) == frozen


def test_when_everything_diverges_the_report_says_so(mini_file: Path) -> None:
    mini_file.write_text(mini_file.read_text().replace("batch_tokens = { value = 512 }", wild))
    folder = mini_file.parent / "runs" / "mini"
    with pytest.raises(RefusedError, match="diverged"):
        run(load_study(mini_file), folder)
    counts = status(folder).counts
    assert counts.diverged == counts.planned - 1
    assert "diverged" in (folder / "report" / "index.html").read_text()
    before = written(folder.parent)
    result = CliRunner().invoke(app, ["run", str(mini_file), "--folder", str(folder), "--json"])
    assert result.exit_code == 1
    assert json.loads(result.stdout)["forecast"] is None
    with pytest.raises(RefusedError, match="diverged"):
        run(load_study(mini_file), folder)
    assert written(folder.parent) == before


wild = "batch_tokens = { value = 512 }\nclip = 1e9\nlearning_rate = { value = 1e5 }"


def test_half_a_study_has_a_report(undisturbed: Path, tmp_path: Path) -> None:
    (tmp_path / "design.json").write_bytes((undisturbed / "design.json").read_bytes())
    some = Store(undisturbed).records()[:3]
    for record in some:
        Store(tmp_path).put_record(record)
    results = gather(tmp_path)
    assert results.counts.finished == 3
    assert results.forecast is None
