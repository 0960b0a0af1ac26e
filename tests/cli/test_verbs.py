from __future__ import annotations

import io
import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from foretoken.cli import app, live, telling
from foretoken.cli.live import LiveListener, PlainListener
from foretoken.launchers.launcher import Silent, Step
from foretoken.runs.record import RunRecord
from foretoken.store.store import Store
from foretoken.study.progress import Progress

from ..runs.test_spec import SPEC

RUNNER = CliRunner()
VERBS = [(command.callback.__name__.replace("_", "-"),) for command in app.registered_commands if command.callback]
VERBS += [
    (str(group.name), command.callback.__name__)
    for group in app.registered_groups
    if group.typer_instance
    for command in group.typer_instance.registered_commands
    if command.callback
]


def command(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "foretoken", *arguments], capture_output=True, text=True, cwd=cwd)


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_every_verb_has_help_with_an_example_and_json(verb: tuple[str, ...]) -> None:
    told = RUNNER.invoke(app, [*verb, "--help"], env={"COLUMNS": "200", "TERM": "dumb"}).output
    assert f"foretoken {' '.join(verb)}" in told.split("Example:")[1]
    assert "--json" in told


def test_design_prints_the_plan_and_trains_nothing(mini_file: Path) -> None:
    result = command("design", str(mini_file), "--json", cwd=mini_file.parent)
    plan = json.loads(result.stdout)
    assert {"runs", "total_flops", "target", "share_of_target"} <= set(plan)
    keys = {"id", "group", "params_total", "params_non_embedding", "tokens", "flops", "seconds_estimated"}
    assert all(keys <= set(row) and row["seconds_estimated"] > 0 for row in plan["runs"])
    assert {"params_total", "tokens", "flops"} <= set(plan["target"])
    assert not list(mini_file.parent.rglob("record.json"))
    told = command("design", str(mini_file), cwd=mini_file.parent)
    assert "times the FLOPs" in told.stdout


def test_status_before_anything_was_done(mini_file: Path) -> None:
    result = command("status", str(mini_file), "--json", cwd=mini_file.parent)
    told = json.loads(result.stdout)
    assert told["counts"] == {"planned": 0, "running": 0, "finished": 0, "diverged": 0, "failed": 0}
    assert told["forecast"] is None
    assert told["outcome"] is None


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("run", "absent.toml"), "no study file"),
        (("status", "absent.toml"), "no study file"),
        (("report", "mini.toml"), "no study has been started"),
        (("fit", "absent.csv"), "no run table"),
        (("fit", "mini.toml"), "unknown kind of run table"),
        (("run", "mini.toml", "--folder", "mini.toml/x"), "cannot hold a study"),
        (("verify", "mini.toml"), "no study has been started"),
        (("prune", "mini.toml"), "no study has been started"),
        (("run", "latin1.toml"), "not TOML"),
        (("predict", "absent.json", "--params", "1e6", "--tokens", "1e8"), "absent.json"),
    ],
)
def test_user_errors_end_with_2_and_no_traceback(arguments: tuple[str, ...], part: str, mini_file: Path) -> None:
    (mini_file.parent / "latin1.toml").write_bytes('name = "é"'.encode("latin-1"))
    result = command(*arguments, cwd=mini_file.parent)
    assert result.returncode == 2
    assert result.stderr.startswith("error: ")
    assert part in result.stderr
    assert "Traceback" not in result.stderr


def invoke(*arguments: object, code: int = 0) -> str:
    result = RUNNER.invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


def test_verify_and_prune_tell_and_exit(copied: Path) -> None:
    assert "is right" in invoke("verify", copied)
    assert json.loads(invoke("verify", copied, "--json"))["findings"] == []
    record = next(copied.glob("runs/*/record.json"))
    record.write_bytes(b"")
    assert f"{record}: " in (told := invoke("verify", copied, code=1))
    assert "foretoken run renames it to *.corrupt and makes it anew" in told
    (finding,) = json.loads(invoke("verify", copied, "--json", code=1))["findings"]
    assert (finding["path"], finding["remedy"]) == (str(record), "set aside")
    record.rename(record.with_name("record.json.corrupt"))
    assert "would delete 1 things" in invoke("prune", copied, "--dry-run")
    assert json.loads(invoke("prune", copied, "--json"))["deleted"]
    assert "deleted 0 things" in invoke("prune", copied)


def test_a_dry_run_tells_what_would_be_done(copied: Path, mini_file: Path) -> None:
    folder = ("--folder", copied, "--dry-run")
    planned = json.loads(invoke("status", copied, "--json"))["counts"]["planned"]
    assert f"{planned} runs would be kept" in invoke("run", mini_file, *folder)
    record = next(copied.glob("runs/*/record.json"))
    record.write_bytes(b"")
    plan = json.loads(invoke("run", mini_file, *folder, "--json"))
    assert [row["action"] for row in plan["runs"]].count("train") == 1
    assert plan["mend"][0]["path"] == str(record)
    mini_file.write_text(mini_file.read_text().replace("eval_tokens = 4096", "eval_tokens = 2048"))
    told = invoke("run", mini_file, *folder)
    assert f"{planned} runs would be trained" in told
    assert "what has changed (values of the first run): eval_tokens (4096 -> 2048)" in told
    told = invoke("status", mini_file, "--folder", copied)
    assert "the study file has changed since: training.eval_tokens 4096 -> 2048" in told


def test_a_damaged_ledger_ends_with_2_and_its_line(copied: Path, mini_file: Path) -> None:
    (entry,) = (copied / "ledger").glob("*-0.9.json")
    entry.write_bytes(entry.read_bytes().replace(b'"level": 0.9', b'"level": 0.8'))
    for verb in (("run", str(mini_file), "--folder", str(copied)), ("status", str(copied))):
        result = command(*verb)
        assert result.returncode == 2
        assert f"{entry}, line 1" in result.stderr
        assert "Traceback" not in result.stderr


def test_plain_lines_tell_what_ended(capsys: pytest.CaptureFixture[str]) -> None:
    listener = PlainListener()
    listener.training([SPEC], {SPEC.key: 10.0})
    listener.progress(SPEC.key, 10, 40, 2.0)
    assert listener.board.share_done() == 0.25
    listener.ended(RunRecord(spec=SPEC, status="finished", loss=1.25, seconds=9.0))
    assert listener.board.share_done() == 1.0
    assert "loss 1.2500" in capsys.readouterr().err


def test_progress_names_a_run_that_is_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whose worker has reported nothing for many times its step; until it reports again."""
    monkeypatch.setattr(live, "LINE_SECONDS", -1.0)
    listener = PlainListener()
    progress = Progress(Store(tmp_path), listener)
    listener.training([SPEC], {SPEC.key: 10.0})
    progress.report("its trunk", Silent(40.0))  # before its first step nobody knows which run it is
    for event in (Step(SPEC.key, 10, 100, 2.0), Silent(45.0), Step(SPEC.key, 11, 100, 2.0)):
        progress.report("its trunk", event)
    before, silent, after = capsys.readouterr().err.splitlines()[-3:]
    assert "silent for 45 s: 1e9 FLOP: " in silent
    assert "silent" not in before + after


def test_the_live_table_names_a_run_that_is_silent() -> None:
    listener = LiveListener(Console(file=io.StringIO(), width=120))
    listener.training([SPEC], {SPEC.key: 10.0})
    listener.progress(SPEC.key, 10, 100, 2.0)
    listener.silent(SPEC.key, 45.0)
    assert listener._cells(SPEC.key)[-1] == "silent for 45 s"
    listener.progress(SPEC.key, 11, 100, 2.0)
    assert listener._cells(SPEC.key)[-1] == "running"
    listener.close()


def test_a_file_system_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network share that is gone: whoever asks for a file on it waits for ever."""
    answer, share = threading.Event(), Path("/gone/runs.csv")
    monkeypatch.setattr(telling, "_ask", lambda path: path == share and answer.wait())
    monkeypatch.setattr(telling, "ANSWER_SECONDS", 0.05)
    told = RUNNER.invoke(app, ["fit", str(share)])
    answer.set()
    assert "/gone/runs.csv gives no answer" in str(told.exception)


def test_a_study_file_that_was_edited_meanwhile_is_told(mini_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from foretoken.cli.run import tell_if_edited
    from foretoken.runs.study_file import load_study

    begun, text = load_study(mini_file), mini_file.read_text()
    tell_if_edited(mini_file, None, begun)
    assert not capsys.readouterr().err
    mini_file.write_text(text.replace("value = 512", "value = 256"))
    tell_if_edited(mini_file, None, begun)
    assert "was edited meanwhile (training.batch_tokens.value)" in capsys.readouterr().err
    for broken in ("name = ", None):
        mini_file.write_text(broken) if broken else mini_file.unlink()
        tell_if_edited(mini_file, None, begun)
        assert "can no longer be read" in capsys.readouterr().err
