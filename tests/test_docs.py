"""What is documented runs: every command in README, docs and --help, and every line of Python beside a verb."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foretoken.cli import app
from foretoken.launchers.jobs import StepTimes
from foretoken.laws import CHINCHILLA, PUBLISHED
from foretoken.study.preview import StepProfile

from .conftest import as_quickstart
from .fuzz.verbs import foretoken

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
VERBS_PAGE = ROOT / "docs" / "verbs.md"
GROUPS = {group.name: group.typer_instance for group in app.registered_groups if group.typer_instance}
SINGLE = {one.callback.__name__.replace("_", "-"): one for one in app.registered_commands if one.callback}
VERBS = [*SINGLE, *(f"{name} {one.callback.__name__}" for name, group in GROUPS.items()
                    for one in group.registered_commands if one.callback)]  # fmt: skip


def documented() -> list[str]:
    """Commands that stand on a line of their own, or in the first cell of a table, without their remarks."""
    lines = [line for page in PAGES for line in page.read_text().splitlines()]
    found = [match[1] for line in lines if (match := re.match(r"^(?:    )?(foretoken .*)$", line))]
    found += [match[1] for line in lines if (match := re.match(r"^\| `(foretoken [^`]*)` \|", line))]
    return list(dict.fromkeys(" ".join(command.split("#")[0].split()) for command in found))


def examples() -> list[str]:
    """The example of each verb's --help."""
    commands = [*app.registered_commands, *(one for group in GROUPS.values() for one in group.registered_commands)]
    return [str(command.epilog).removeprefix("Example: ") for command in commands]


def one_liners() -> dict[str, str]:
    """The line of Python beside each command of docs/verbs.md."""
    return dict(re.findall(r"^\| `foretoken ([^`]*)` \| `([^`]*)` \|", VERBS_PAGE.read_text(), re.M))


OWN_TRAINER = """
name = "own"
[trainer]
command = "sh train.sh {params} {tokens} {folder}"
[design]
kind = "ladder"
params = ["1M", "2M", "4M", "8M"]
tokens_per_param = [10, 20, 40]
[launch]
workers = 2
"""
TRAIN_SH = """
loss=$(awk "BEGIN { print 1.7 + 400 / $1 ^ 0.34 + 410 / $2 ^ 0.28 }")
echo "{\\"loss\\": $loss}" > "$3/result.json"
"""


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory, undisturbed: Path) -> Path:
    """A folder with all that the documented commands name."""
    home = tmp_path_factory.mktemp("docs")
    assert CHINCHILLA.optimum is not None
    flops = np.repeat(np.geomspace(1e18, 1e20, 5), 7)
    law, generator = PUBLISHED["besiroglu_2024"].parameters, np.random.default_rng(0)
    n = CHINCHILLA.optimum(law, flops)[0] * np.tile(np.geomspace(1 / 4, 4, 7), 5)
    loss = CHINCHILLA.evaluate(law, params=n, tokens=flops / 6 / n) * np.exp(0.003 * generator.standard_normal(35))
    frame = pd.DataFrame({"params": n, "tokens": flops / 6 / n, "loss": loss})
    frame.assign(val_loss=loss, D=frame["tokens"], dataset="c4", step=20_000).to_csv(home / "runs.csv", index=False)
    recipes = [frame.assign(recipe=name, loss=loss * ratio) for name, ratio in (("ours", 1.0), ("theirs", 1.02))]
    pd.concat(recipes).to_csv(home / "recipes.csv", index=False)
    theirs = {"params": "config.model.n_params", "loss": "summary.eval/loss", "tokens": "summary.tokens_seen"}
    frame.rename(columns=theirs).to_csv(home / "wandb_export.csv", index=False)
    score = pd.DataFrame({"params": np.geomspace(1e8, 1e11, 8), "task": "copa", "metric": "acc"})
    score.assign(tokens=3e11, score=60 + 4 * np.arange(8)).to_csv(home / "scores.csv", index=False)
    size, fact = (part.ravel() for part in np.meshgrid(np.geomspace(1e7, 1e10, 4), np.arange(200), indexing="ij"))
    mentions = np.geomspace(1, 1e4, 200).round()[fact]
    odds = np.log10(mentions) - 2 + 0.5 * (np.log10(size) - 8.5)
    correct = (generator.random(800) < 1 / (1 + np.exp(-odds))).astype(int)
    answers = pd.DataFrame({"params": size, "question": fact, "count": mentions, "correct": correct})
    answers.to_csv(home / "answers.csv", index=False)
    (home / "my_texts").mkdir()
    for part in range(0, 1000, 10):
        lines = (f"{n} bears met {n * n} foxes.\n" for n in range(part, part + 10))
        (home / "my_texts" / f"bears-{part}.txt").write_text("".join(lines))
    labelled = (f'{{"text": "{n} bears met {n * n} foxes", "label": "{n % 2}"}}\n' for n in range(40))
    (home / "reviews.jsonl").write_text("".join(labelled))
    splits = [*["test"] * 6, *["train"] * 4]
    asked = (f'{{"prompt": "{n} bears", "answer": {n % 2}, "split": "{split}"}}\n' for n, split in enumerate(splits))
    (home / "my_task.jsonl").write_text("".join(asked))
    (home / "my_task.toml").write_text('data = "my_task.jsonl"\nchoices = [" odd", " even"]\n')
    gaps = (
        f'{{"prompt": "{n} bears XXXXX {n} foxes.", "answer": "met", "choices": ["met", "bears"]}}\n' for n in range(4)
    )
    (home / "my_cloze.jsonl").write_text("".join(gaps))
    (home / "my_cloze.toml").write_text('data = "my_cloze.jsonl"\nkind = "cloze"\n')
    (home / "own.toml").write_text(OWN_TRAINER)
    (home / "train.sh").write_text(TRAIN_SH)
    as_quickstart(undisturbed, home)
    shutil.copy(home / "studies" / "quickstart.toml", home / "studies" / "mine.toml")
    _weights(home)
    return home


def _weights(home: Path) -> None:
    """Networks that were not trained, with their tokenizers, as somebody else's folders."""
    from tokenizers import AddedToken, Tokenizer

    from foretoken.compute.shape import ModelShape
    from foretoken.data.tokenizer_files import train_tokenizer
    from foretoken.models import build, save_pretrained

    for name, family, kind in (
        ("my_model", "decoder", "bpe"), ("my_encoder", "encoder", "wordpiece"), ("my_t5", "encoder_decoder", "unigram"),
    ):  # fmt: skip
        learned = train_tokenizer(home / "my_texts", kind=kind, vocabulary=500)
        words = Tokenizer.from_str(learned.definition)
        words.add_special_tokens([AddedToken(f"<extra_id_{number}>", special=True) for number in range(9)])
        shape = ModelShape(
            layers=1,
            width=16,
            heads=2,
            context=64,
            vocabulary=words.get_vocab_size(),
            family=family,
            positions="rotary",
        )
        save_pretrained(build(shape), home / name)
        words.save(str(home / name / "tokenizer.json"))


TIMES = StepTimes(
    tokens_per_second=1e5,
    seconds_per_step=0.01,
    peak_flops=1e10,
    share_of_peak=0.5,
    phases={"forward": 0.01},
    operations=[],
)
MEASURED = StepProfile(
    size="largest",
    params_total=100_000,
    width=32,
    layers=2,
    threads=1,
    precision="float32",
    batch_tokens=512,
    times=TIMES,
)
"""What tests/training/test_profile.py measures, which takes a minute."""


@pytest.fixture
def bench(workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few_exchanges: None) -> Path:
    """A copy of the workshop to work in."""
    monkeypatch.setattr("foretoken.study.preview.measure", lambda runner, name, run: MEASURED)
    shutil.copytree(workshop, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    foretoken("fit", "runs.csv", "--map", "loss=val_loss", "-o", "fit.json")
    return tmp_path / "here"


@pytest.mark.parametrize("commands", [documented, examples], ids=["pages", "help"])
def test_every_documented_command_runs(commands: object, bench: Path) -> None:
    told = commands()  # type: ignore[operator]
    assert len(told) >= len(VERBS)
    for command in told:
        words = shlex.split(command)[1:]
        if words[:2] == ["ledger", "score"] and not (bench / "ledger" / f"{words[2]}.json").exists():
            foretoken("ledger", "freeze", "fit.json", words[2], "--params", "7B", "--tokens", "140B")
        assert foretoken(*words), command


def test_every_verb_is_documented_with_its_line_of_python() -> None:
    page = one_liners()
    for verb in VERBS:
        assert any(command.startswith(verb) for command in page), f"docs/verbs.md names no {verb}"
    for name in [*SINGLE, *GROUPS]:
        for told in (ROOT / "README.md", ROOT / "CHANGELOG.md"):
            assert re.search(rf"\b{name}\b", told.read_text()), f"{told.name} names no {name}"


def test_every_line_of_python_runs(bench: Path) -> None:
    import foretoken as ft

    table = ft.read_table("runs.csv", {"loss": "val_loss"})
    names = {"ft": ft, "table": table, "fit": ft.fit(table), "study": ft.load_study("studies/quickstart.toml")}
    for line in one_liners().values():
        eval(line, names)
    assert (bench / "ledger" / "mine.outcome.json").is_file()
    assert (bench / "runs" / "quickstart" / "report" / "index.html").is_file()


def test_a_study_s_own_forecast_is_placed_and_shown_as_any_other(bench: Path) -> None:
    import foretoken as ft

    folder = bench / "runs" / "quickstart" / "ledger"
    (line,) = ft.score_ledger(folder).entries
    forecast = line.entry.forecast
    (point,) = ft.place_run(folder / f"{line.name}.json", [(forecast.tokens, forecast.loss)])
    assert point.text == "inside the band at 100 % of tokens"
    assert point.low == pytest.approx(forecast.low)
    told = foretoken("ledger", "score", line.name, "--ledger", folder, "--at", f"{forecast.tokens / 2}:99")
    assert "above the band at 50 % of tokens" in told


def test_the_page_of_python_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "python.md").read_text()
    names: dict[str, object] = {}
    for number, block in enumerate(re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)):
        exec(compile(block, f"docs/python.md, block {number}", "exec"), names)
    assert (tmp_path / "forecast.png").is_file()
