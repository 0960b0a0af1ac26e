"""A study whose runs a command trains: the same line as with foretoken's own loop, whatever the command does."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import foretoken as ft
from foretoken.errors import DesignError, ForetokenError, RefusedError, StudyFileError
from foretoken.runs.record import RunRecord
from foretoken.store.store import Store
from foretoken.study.by_hand import planned_commands, record, start_script
from foretoken.study.run_study import study_runner

STAND_IN = Path(__file__).with_name("stand_in.py")
STUDY = """
name = "own"
[trainer]
command = "{python} train.py --params {{params}} --tokens {{tokens}} --seed {{seed}} --out {{folder}}{more}"
code = ["train.py"]
progress = 'step (?P<step>\\d+)/(?P<steps>\\d+) loss (?P<loss>[0-9.]+)'
wait_seconds = {wait}
{trainer}
[design]
kind = "ladder"
params = ["1M", "2M", "4M", "8M"]
tokens_per_param = [10, 20, 40]
[target]
compute_factor = 8
train = {target}
[launch]
workers = 2
{launch}
"""


def study_of(
    folder: Path,
    fault: str = "",
    trainer: str = "",
    launch: str = "",
    *,
    target: bool = False,
    wait: float = 5.0,
) -> ft.Study:
    (folder / "train.py").write_bytes(STAND_IN.read_bytes())
    more = f" --fault '{fault}' {{resume}}" if "resume" in trainer else f" --fault '{fault}'"
    text = STUDY.format(
        python=sys.executable,
        more=more,
        trainer=trainer,
        launch=launch,
        target=str(target).lower(),
        wait=wait,
    )
    (folder / "own.toml").write_text(text)
    return ft.load_study(folder / "own.toml")


def trained(folder: Path, study: ft.Study) -> list[RunRecord]:
    with contextlib.suppress(RefusedError):
        ft.run(study, folder / "runs" / "own")
    return Store(folder / "runs" / "own").records()


def some_runs(study: ft.Study, folder: Path, sizes: list[float]) -> list[RunRecord]:
    """A run of each size, trained as a study trains them; nothing is fitted."""
    runner = study_runner(study, folder / "runs" / "own")
    with runner.owned():
        shapes = [runner.recipe.shape(size) for size in sizes]
        runner.trainer.train([runner.recipe.spec(shape, 1e7, group="alone", threads=1) for shape in shapes])
        return Store(runner.folder).records()


def test_from_command_to_score(tmp_path: Path) -> None:
    study = study_of(tmp_path, target=True)
    status = ft.run(study, tmp_path / "runs" / "own")
    assert status.counts.finished == status.counts.planned == 13
    assert status.outcome is not None
    assert abs(status.outcome.error) < 0.02
    assert ft.verify(tmp_path / "runs" / "own") == []
    table = ft.read_table(tmp_path / "runs" / "own").frame
    assert set(table["software"]) == {f"code {study_code(study)}"}
    assert not {"weight_decay", "learning_rate", "family", "params_embedding"} & set(table)
    assert "not known" not in (tmp_path / "runs" / "own" / "report" / "index.html").read_text()
    # the same again is nothing; another text of the code is other runs
    assert {run.action for run in ft.dry_run(study, tmp_path / "runs" / "own").runs} == {"keep"}
    with (tmp_path / "train.py").open("a") as code:
        code.write("# another day\n")
    changed = ft.dry_run(ft.load_study(tmp_path / "own.toml"), tmp_path / "runs" / "own").runs
    assert {run.action for run in changed} == {"train"}
    assert changed[0].because
    assert "trainer" in str(changed[0].because)


def study_code(study: ft.Study) -> str:
    from foretoken.study.own_runner import code_digest

    assert study.trainer
    return code_digest(study.home, study.trainer.code)


@pytest.mark.parametrize("threads", ["7", None])
def test_a_command_has_the_threads_of_its_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: str | None
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if threads:
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
    some_runs(study_of(tmp_path), tmp_path, [1e6])
    (log,) = tmp_path.glob("runs/own/runs/*/command.log")
    assert f"threads {threads}\n" in log.read_text()


@pytest.mark.parametrize("fault", ["every third", "late", "silent"])
def test_what_goes_wrong_and_mends_is_told(tmp_path: Path, fault: str) -> None:
    records = some_runs(study_of(tmp_path, fault), tmp_path, [1e6, 2e6, 4e6])
    assert [one.status for one in records] == ["finished"] * 3
    again = [one for one in records if any("attempt 1" in event for event in one.events)]
    assert bool(again) == (fault == "every third" and any(one.spec.parameters.total % 3 == 0 for one in records))
    assert all("exit code 1" in again_.events[0] for again_ in again)


@pytest.mark.parametrize(
    ("fault", "status", "told"),
    [
        ("nan", "diverged", None),
        ("exits without", "failed", "left no result.json"),
        ("garbage", "failed", "not JSON"),
        ("other length", "failed", "tokens"),
    ],
)
def test_what_goes_wrong_is_recorded(tmp_path: Path, fault: str, status: str, told: str | None) -> None:
    (record_,) = some_runs(study_of(tmp_path, fault, wait=0.1), tmp_path, sizes=[1e6])
    assert record_.status == status
    assert told is None or told in (record_.error or "")


def test_a_command_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    resume = 'checkpoint = "*.ckpt"\nresume = "--resume {folder}/half.ckpt"'
    records = some_runs(study_of(tmp_path, "dies half way", resume), tmp_path, [1e6, 2e6])
    assert [one.status for one in records] == ["finished"] * 2
    assert all("signal 9" in one.events[0] and "resumed" in one.events[1] for one in records)
    assert not list(tmp_path.glob("runs/own/runs/*/own/*.ckpt"))


def test_a_killed_study_goes_on_to_the_same_table(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
    whole = trained(here, study_of(here))
    study_of(there)
    code = "import foretoken as ft; ft.run(ft.load_study('own.toml'))"
    driver = subprocess.Popen(
        [sys.executable, "-c", code], cwd=there, start_new_session=True, stderr=subprocess.DEVNULL
    )
    wait_for(lambda: len(list(there.glob("runs/own/runs/*/record.json"))) >= 3)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    resumed = trained(there, ft.load_study(there / "own.toml"))
    assert [(one.spec.key, one.loss) for one in resumed] == [(one.spec.key, one.loss) for one in whole]


def test_a_killed_driver_leaves_no_process_of_a_command(tmp_path: Path) -> None:
    study_of(tmp_path)
    child = f"sleep {3600 + os.getpid() % 1000}.{time.time_ns() % 1000:03d}"
    (tmp_path / "train.py").write_text(f"import os, time\nos.system('{child} &')\ntime.sleep(3600)\n")
    code = "import foretoken as ft; ft.run(ft.load_study('own.toml'))"
    driver = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, start_new_session=True, stderr=subprocess.DEVNULL
    )

    def running() -> list[str]:
        lines = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                lines.append(path.read_bytes().replace(b"\0", b" "))
        return [line.decode(errors="replace") for line in lines if line.startswith(child.encode())]

    try:
        wait_for(running)
        os.kill(driver.pid, signal.SIGKILL)
        wait_for(lambda: not running(), 20)
    finally:
        driver.kill()
        driver.wait()
        subprocess.run(["pkill", "-f", child], check=False)


def wait_for(come: object, seconds: float = 60.0) -> None:
    last = time.monotonic() + seconds
    while not come():  # type: ignore[operator]
        assert time.monotonic() < last
        time.sleep(0.02)


def test_runs_that_are_started_by_hand(tmp_path: Path) -> None:
    study, folder = study_of(tmp_path, launch='kind = "manual"', target=True), tmp_path / "runs" / "own"
    with pytest.raises(ForetokenError, match="12 of 12 runs wait"):
        ft.run(study, folder)
    planned = planned_commands(study, folder)
    assert len(planned) == 12
    assert not any(one.run.is_target for one in planned)
    script = start_script(study, "shell", folder)
    subprocess.run(["sh"], input=script, text=True, check=True, capture_output=True)
    target = next(run.id for run in ft.dry_run(study, folder).runs if run.group == "target")
    with pytest.raises(RefusedError, match="no_forecast_yet"):
        record(study, target, loss=3.0, folder=folder)
    for wrong in ({"loss": -1.0}, {"loss": 3.0, "loss_se": float("nan")}, {"loss": 3.0, "seconds": -4.0}):
        with pytest.raises(ForetokenError, match=r"a loss of|_se of|seconds of"):
            record(study, planned[0].run.key, folder=folder, **wrong)  # type: ignore[arg-type]
    with pytest.raises(ForetokenError, match="another length"):
        record(study, planned[0].run.key, result=tmp_path / planned[-1].folder / "result.json", folder=folder)
    for one in planned:
        record(study, one.run.key[:8], result=tmp_path / one.folder / "result.json", folder=folder)
    with pytest.raises(ForetokenError, match="has its record"):
        record(study, planned[0].run.key, loss=3.0, folder=folder)
    with pytest.raises(ForetokenError, match="1 of 1 runs wait"):
        ft.run(study, folder)
    (last,) = planned_commands(study, folder)
    (tmp_path / last.folder).mkdir(parents=True)
    subprocess.run(last.words, cwd=tmp_path, check=True, capture_output=True)
    record(study, last.run.key, result=tmp_path / last.folder / "result.json", folder=folder)
    status = ft.run(study, folder)
    assert status.outcome is not None
    assert status.outcome.order
    assert ft.verify(folder) == []


@pytest.mark.parametrize("form", ["csv", "slurm", "skypilot"])
def test_scripts_name_every_run_once(tmp_path: Path, form: str) -> None:
    study = study_of(tmp_path)
    text = start_script(study, form, tmp_path / "runs" / "own")  # type: ignore[arg-type]
    planned = planned_commands(study, tmp_path / "runs" / "own")
    assert len(planned) == 12
    assert all(text.count(one.folder) >= 1 and one.run.key in text for one in planned)
    if form == "slurm":
        subprocess.run(["bash", "-n"], input=text, text=True, check=True)
        assert "--array=0-11" in text


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("{params}", "{parms}"), "did you mean 'params'"),
        (("train.py --params", "train.py {tokens //"), "cannot be read"),
        (('code = ["train.py"]', 'code = ["gone.py"]'), "gone.py"),
        (('code = ["train.py"]', 'code = ["../x"]'), "below"),
        (('code = ["train.py"]', 'result = "/etc/passwd"'), "below"),
        (('code = ["train.py"]', "sizes = [{width = 64}, {width = 64}]"), "one size"),
        (('code = ["train.py"]', 'sizes = [{params = "1M"}, {params = "1M"}]'), "one size"),
        (('code = ["train.py"]', "sizes = []"), "sizes: an empty list: give a size"),
        (('code = ["train.py"]', "sizes = [{depth = 64}]"), "how large"),
        (('code = ["train.py"]', "sizes = [{width = -4, layers = 2}]"), "no number"),
        (('code = ["train.py"]', "sizes = [{width = 64.5}]"), "no number"),
        (('code = ["train.py"]', "sizes = [{width = 99999999999999, layers = 1}]"), "no number"),
        (('code = ["train.py"]', 'sizes = [{width = "abc"}]'), "no number"),
        (('code = ["train.py"]', 'sizes = [{params = "3M"}]'), "no size"),
        (('code = ["train.py"]', "map = { lss = 'a' }"), "unknown"),
        (('code = ["train.py"]', "map = { loss = '' }"), "no name"),
        (('code = ["train.py"]', "result = '.'"), "name of a file"),
        (('code = ["train.py"]', 'sizes = [{params = "many"}]'), "params"),
        (("loss (?P<loss>[0-9.]+)", "("), "regular expression"),
        (('code = ["train.py"]', 'resume = "--go"'), "checkpoint"),
        (("[design]", "[corpus]\nrepeat = true\n[design]"), "corpus has no effect"),
        ((sys.executable, "no-such-program"), "is not there"),
        (("[launch]", "[launch]\ntarget_threads = 4"), "no effect"),
    ],
)
def test_a_wrong_trainer_is_refused_before_anything_starts(tmp_path: Path, change: tuple[str, str], told: str) -> None:
    study_of(tmp_path)
    path = tmp_path / "own.toml"
    path.write_text(path.read_text().replace(*change))
    with pytest.raises((StudyFileError, DesignError, ForetokenError), match=told):
        ft.run(ft.load_study(path), tmp_path / "runs" / "own")
    assert not (tmp_path / "runs").exists()


def test_sizes_of_one_shape_are_told_apart_by_their_parameters(tmp_path: Path) -> None:
    study_of(tmp_path)
    text = (tmp_path / "own.toml").read_text().replace('params = ["1M", "2M", "4M", "8M"]\n', "")
    sizes = ", ".join(f'{{ params = "{params}" }}' for params in ("1M", "1.001M", "1.002M", "2M"))
    path = tmp_path / "own.toml"
    path.write_text(text.replace('code = ["train.py"]', f"sizes = [{sizes}]"))
    planned = planned_commands(ft.load_study(path), tmp_path / "runs" / "own")
    asked = sorted({int(one.words[one.words.index("--params") + 1]) for one in planned})
    assert asked == [1_000_000, 1_001_000, 1_002_000, 2_000_000]
    assert len({one.run.shape for one in planned}) == 4  # a warm-up is shared by the runs of one shape
    path.write_text(path.read_text().replace("{params}", "1"))
    with pytest.raises(DesignError, match="one size"):
        planned_commands(ft.load_study(path), tmp_path / "runs" / "own")


def test_a_changed_code_is_told(tmp_path: Path) -> None:
    study, folder = study_of(tmp_path), tmp_path / "runs" / "own"
    planned_commands(study, folder)
    assert not ft.status(folder, study).told
    with (tmp_path / "train.py").open("a") as file:
        file.write("# another\n")
    (told,) = ft.status(folder, study).told
    assert "trainer.code have changed" in told
    assert "the 0 that have a record" in told
    assert not ft.status(folder).told  # of a folder alone nobody knows where its code is
    (tmp_path / "train.py").unlink()
    assert any("not there: 'train.py'" in told for told in ft.status(folder, study).told)


def test_the_output_of_a_command_is_read_and_kept_without_colours(tmp_path: Path) -> None:
    study = study_of(tmp_path, trainer="retries = 0")
    red, plain = r"\x1b[31m", r"\x1b[0m"
    (tmp_path / "train.py").write_text(
        f"import sys\nprint('step {red}50/100{plain} loss 3.5', flush=True)\nsys.exit('{red}no {plain}\\x07memory')\n"
    )
    (record,) = some_runs(study, tmp_path, [1e6])
    assert record.error
    assert record.error.splitlines()[1:] == ["step 50/100 loss 3.5", r"no \x07memory"]


def test_manual_is_for_an_own_trainer(tmp_path: Path) -> None:
    path = tmp_path / "loop.toml"
    path.write_text('name = "loop"\n[design]\nbudgets = [1e11, 2e11]\n[launch]\nkind = "manual"\n')
    with pytest.raises(StudyFileError, match="own trainer"):
        ft.load_study(path)
