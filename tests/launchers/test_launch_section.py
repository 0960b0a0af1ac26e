"""What `[launch]` may say, what SLURM's and Ray's launchers refuse before anything starts, and with which words."""

from __future__ import annotations

import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from foretoken.errors import ForetokenError, MissingExtraError
from foretoken.launchers import LAUNCHERS, RayLauncher, SlurmLauncher
from foretoken.launchers.slurm_commands import BLAMELESS, ENDED, GONE, WAITING, States
from foretoken.runs.schema import LaunchSection
from foretoken.runs.study_file import load_study
from foretoken.study.preview import batch_script

HAS_SUBMITIT = pytest.mark.skipif(not find_spec("submitit"), reason="submitit is not installed")
HAS_RAY = pytest.mark.skipif(not find_spec("ray"), reason="ray is not installed")


NOTHING = (
    "0 hours",
    "-3 hours",
    "0.0 h",
    "0 min",
    "0 GPU-hours",
    "-1 GPU-hours",
    "0 CPU-hours",
    "$0",
    "-$5",
    "0 USD",
    "0",
)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"partition": "gpu"}, "`partition` is for kind 'slurm'"),
        ({"kind": "ray", "time_minutes": 60}, "`time_minutes` is for kind 'slurm'"),
        ({"kind": "slurm", "address": "auto"}, "`address` is for kind 'ray'"),
        ({"kind": "slurm", "gpus": 0.5}, "whole GPUs; kind 'ray' or 'local' takes shares"),
        ({"gpus": 1.5}, "a share is of one GPU"),
        ({"gpus": -1}, "greater than 0"),
        *(({"gpus": value}, "a number, as 2 or 0.25, or a list") for value in (True, "2", {"gpus": 1}, [1, 2], [True])),
        *(({"limit": value, "gpus": 1}, "above 0.*leave it out") for value in NOTHING),
        *(({"limit": value}, "a text with its unit") for value in (True, 5, 0, 1.5, {"hours": 1}, [["1 hour"]])),
        *(({"limit": value}, 'written as "\\$500"') for value in ("", "12", "nan hours", "1 GPU-flops", "$ten")),
        ({"gpus": [{"below": "1B", "gpus": 1}]}, "the last class has no `below`"),
        ({"gpus": [{"gpus": 1}, {"gpus": 2}]}, "each class but the last has a `below`"),
        ({"gpus": [{"below": "7B", "gpus": 1}, {"below": "1B", "gpus": 2}, {"gpus": 8}]}, "larger than that of"),
        ({"gpus": [{"beneath": "7B", "gpus": 1}]}, "beneath"),
        ({"kind": "slurm", "gpus": [{"below": "1B", "gpus": 0.25}, {"gpus": 8}]}, "whole GPUs"),
        ({"limit": "$500", "gpus": 1}, "dollars need a price"),
        ({"limit": "40 GPU-hours"}, "say in `gpus` how many"),
        ({"accelerator": "H100"}, "say in `gpus` how many"),
        ({"gpus": 1, "accelerator": "H1O0"}, "unknown accelerator"),
        ({"limit": ["36 hours", "2 days"]}, "two of one kind"),
        ({"limit": "much"}, "a limit is written as"),
        ({"limit": "$0", "usd_per_hour": 1}, "above 0"),
        ({"limit": "2026-13-24"}, "no date and time"),
        ({"limit": "1e400 hours"}, "a limit is written as"),
        ({"kind": "slurm", "partition": "a b"}, "is no name of SLURM's"),
        ({"kind": "slurm", "partition": "--wrap"}, "is no name of SLURM's"),
        ({"kind": "slurm", "options": {"time": 5}}, "say `time_minutes`"),
        ({"kind": "slurm", "options": {"output": "/etc/passwd"}}, "set by the launcher"),
        ({"kind": "slurm", "options": {"comment": "a\n#SBATCH --wrap=x"}}, "on one line"),
        ({"kind": "slurm", "options": {"--mem": "4G"}}, "without its dashes"),
        ({"kind": "ray", "address": "ray://head:10001"}, "address"),
        ({"kind": "skypilot"}, "kind"),
    ],
)
def test_keys_without_effect_and_words_that_sbatch_would_misread_are_refused(values: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told.replace("(", r"\(")):
        LaunchSection.model_validate(values)


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "ray", "address": "head.cluster:6379", "gpus": 0.25},
        {"gpus": [{"below": "1B", "gpus": 0.25}, {"below": "7B", "gpus": 1}, {"gpus": 8}]},
        {"gpus": 1, "accelerator": "H100", "limit": ["$500", "2 days", "2026-12-24T18:00"]},
        {"kind": "slurm", "partition": "gpu", "gpus": 2, "options": {"constraint": "a100", "exclusive": True}},
    ],
)
def test_a_section_comes_back_from_what_design_json_keeps(values: dict[str, Any]) -> None:
    section = LaunchSection.model_validate(values)
    assert LaunchSection.model_validate(section.model_dump()) == section
    assert LAUNCHERS[section.kind](section)


@pytest.mark.parametrize(("kind", "package"), [("ray", "ray"), ("slurm", "submitit")])
def test_a_package_that_is_missing_is_told(
    kind: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Missing:
        def find_spec(self, name: str, *_: object) -> None:
            if name.partition(".")[0] == package:
                raise ModuleNotFoundError(name=name)

    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Missing(), *sys.meta_path])
    launcher = LAUNCHERS[kind](LaunchSection.model_validate({"kind": kind}))
    with pytest.raises(MissingExtraError, match=rf"foretoken\[{kind}\]"):
        launcher.measure(tmp_path / "log" / "machine.txt")


@HAS_RAY
def test_an_address_at_which_nobody_answers_is_refused_at_once(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(ForetokenError, match="no Ray answers") as refusal:
        RayLauncher("127.0.0.1:9").measure(tmp_path / "log" / "machine.txt")
    assert refusal.value.code == "unreachable"
    assert "ray start" in str(refusal.value)
    assert time.monotonic() - began < 30  # of which the import of Ray takes most


def commands(folder: Path, **texts: str) -> None:
    """Commands of SLURM's that say what the test says."""
    for name in ("sbatch", "squeue", "scancel", "sinfo", "srun"):
        path = folder / name
        path.write_text(f"#!/bin/sh\n{texts.get(name, 'exit 0')}\n")
        path.chmod(0o755)


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    commands(folder, sinfo="echo 'small*|3|1:00:00'; echo 'gpu|8|2-00:00:00'")
    return folder


def refusal(section: LaunchSection, folder: Path) -> ForetokenError:
    with pytest.raises(ForetokenError) as refused:
        SlurmLauncher(section).measure(folder / "log" / "machine.txt")
    assert not (folder / "log").exists()
    return refused.value


@HAS_SUBMITIT
def test_slurm_refuses_what_it_does_not_know_before_anything_is_submitted(slurm: Path, tmp_path: Path) -> None:
    unknown = refusal(LaunchSection(kind="slurm", partition="gpus"), tmp_path)
    assert (unknown.code, unknown.expected, unknown.cure) == (
        "unreachable", "gpu, small", "say partition = 'gpu' in [launch]"
    )  # fmt: skip
    assert "as long as" in str(refusal(LaunchSection(kind="slurm", time_minutes=61), tmp_path))
    commands(slurm, sinfo="echo 'small*|3|1:00:00'", sbatch="echo 'sbatch: error: no such account' >&2; exit 1")
    assert refusal(LaunchSection(kind="slurm", account="x"), tmp_path).got == "error: no such account"
    commands(slurm, sinfo="echo 'the controller is down' >&2; exit 1")
    assert refusal(LaunchSection(kind="slurm"), tmp_path).got == "the controller is down"


@HAS_SUBMITIT
def test_where_there_is_no_slurm_the_script_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    section = LaunchSection(kind="slurm", partition="gpu", gpus=2, time_minutes=90, options={"constraint": "a100"})
    script = SlurmLauncher(section).batch_script(tmp_path / "log", workers=4, threads=8, gpus=2)
    assert script.startswith("#!/bin/bash")
    for option in ("array=0-3%4", "partition=gpu", "gpus-per-node=2", "time=90", "cpus-per-task=8", "constraint=a100"):
        assert f"#SBATCH --{option}\n" in script
    assert "#SBATCH --requeue\n" in script
    assert "SLURM's commands" in str(refusal(section, tmp_path))


def test_states_are_asked_for_all_jobs_at_once(slurm: Path) -> None:
    commands(
        slurm,
        squeue=f"echo x >> {slurm}/asked; echo '5_0|RUNNING|None'; echo '6|PREEMPTED|None'; echo '8|PENDING|Priority'",
    )
    states, now = States(), time.monotonic()
    assert [states.of(name, now).name for name in ("5_0", "6", "7")] == ["RUNNING", "PREEMPTED", "PENDING"]
    assert states.of("7", now - 1e6).name == GONE
    assert states.of("8", now).reason == "Priority"
    assert (slurm / "asked").read_text() == "x\n"
    commands(slurm, squeue="exit 1")
    states.asked = -1e6
    assert states.of("5_0", now).name == "RUNNING"  # the controller is down: no job has ended by that
    assert WAITING.isdisjoint(ENDED)
    assert BLAMELESS < ENDED


def test_gpus_go_by_the_size_of_a_run() -> None:
    by_size = LaunchSection.model_validate(
        {"gpus": [{"below": "1B", "gpus": 0.25}, {"below": "7B", "gpus": 1}, {"gpus": 8}]}
    )
    assert [by_size.gpus_of(params) for params in (1e6, 1e9 - 1, 1e9, 6.9e9, 7e9, 1e12)] == [0.25, 0.25, 1, 1, 8, 8]
    assert LaunchSection.model_validate({"gpus": 2}).gpus_of(1e6) == 2
    assert LaunchSection.model_validate({"gpus": 0}).gpus_of(1e6) == LaunchSection().gpus_of(1e6) == 0


@HAS_SUBMITIT
def test_a_class_of_sizes_is_an_array_of_its_own(mini_file: Path) -> None:
    rule = 'kind = "slurm"\ngpus = [{ below = "1M", gpus = 1 }, { gpus = 8 }]\nworkers = 6'
    mini_file.write_text(mini_file.read_text().replace("workers = 1", rule))
    script = batch_script(load_study(mini_file)) or ""
    assert [script.count(f"#SBATCH --gpus-per-node={gpus}\n") for gpus in (1, 8)] == [1, 1]


@HAS_SUBMITIT
def test_a_dry_run_can_print_what_sbatch_would_be_given(mini_file: Path) -> None:
    assert batch_script(load_study(mini_file)) is None
    mini_file.write_text(mini_file.read_text().replace("workers = 1", 'kind = "slurm"\npartition = "gpu"\nworkers = 6'))
    script = batch_script(load_study(mini_file), mini_file.parent / "home") or ""
    assert "#SBATCH --array=0-5%6\n" in script
    assert f"{mini_file.parent / 'home' / 'log' / 'slurm'}" in script
    assert not (mini_file.parent / "home").exists()
