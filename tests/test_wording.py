"""An error asks Python for arguments, and whoever typed a verb for options."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import foretoken as ft
from foretoken.errors import ARGUMENTS, for_command_line, for_its_reader

from .fuzz.verbs import foretoken

SOURCE = Path(__file__).parents[1] / "src" / "foretoken"
RUNS = pd.DataFrame(
    {"params": [1e7, 2e7], "tokens": [1e9, 2e9], "val_loss": [3.0, 2.9], "status": ["finished", "gold"]}
)
ONLY_TYPED = {"json", "html", "help", "csv", "shell"}
"""Options of documentation, of the foot of a page, and forms of a list of runs."""
NO_ERRORS = {
    "palette.py",
    "svg.py",
    "score_panels.py",
    "task_scores_section.py",
    "downstream_page.py",
    "slurm_commands.py",
    "hardware.py",
    "trainer_section.py",
    "command.py",
    "by_hand.py",
}
"""Files whose `--` is of style sheets, or of a command of the user's."""


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("name it with --map", "name it with rename="),
        ("--where set=a leaves no row", 'where="set=a" leaves no row'),
        ("--where 'set=a b': no column", 'where="set=a b": no column'),
        ("--map loss=foo: a.csv has", 'rename={"loss": "foo"}: a.csv has'),
        ("""say --map 'loss="loss, nats"'.""", 'say rename={"loss": "loss, nats"}.'),
        ("--compute 1e24, or --params 7B", 'compute=1e24, or params="7B"'),
        ("--unique 1e12 --max-epochs 1", "unique=1e12, max_epochs=1"),
        ("--loss-unit: bits per what?", "loss_unit: bits per what?"),
        ("(--usd-per-flop)", "(usd_per_flop=)"),
        ("a - b, a -- b", "a - b, a -- b"),
    ],
)
def test_options_become_arguments(typed: str, told: str) -> None:
    assert for_its_reader(typed) == told
    with for_command_line():
        assert for_its_reader(typed) == typed


def test_every_option_that_is_named_is_an_argument_of_a_public_function() -> None:
    functions = [getattr(ft, name) for name in ft.__all__ if not isinstance(getattr(ft, name), type)]
    known = {name for one in functions if callable(one) for name in inspect.signature(one).parameters}
    for path in SOURCE.rglob("*.py"):
        if path.parent.name == "cli" or path.name in NO_ERRORS:
            continue
        for option in re.findall(r"--([a-z]+(?:-[a-z]+)*)", path.read_text()):
            assert option in ONLY_TYPED or ARGUMENTS.get(option, option.replace("-", "_")) in known, (path.name, option)


def bad(**columns: object) -> pd.DataFrame:
    return RUNS.rename(columns={"val_loss": "loss"}).drop(columns="status").assign(**columns)


MISTAKES: dict[str, Callable[[Path], object]] = {
    "a column": lambda home: ft.fit(RUNS),
    "a status": lambda home: ft.fit(RUNS.rename(columns={"val_loss": "loss"})),
    "a unit": lambda home: ft.fit(bad(params=[10, 20])),
    "too few": lambda home: ft.fit(bad()),
    "a unit of the loss": lambda home: ft.fit(bad(), loss_unit="bits"),
    "units of the loss": lambda home: ft.fit(bad(loss_unit=["bits per byte", "nats per token"])),
    "a law": lambda home: ft.fit("sample", "chinchila"),
    "N": lambda home: ft.fit("sample", params="size"),
    "a condition": lambda home: ft.read_table("sample", where="group"),
    "no row": lambda home: ft.read_table("sample", where="group=a b"),
    "no column": lambda home: ft.read_table("sample", {"loss": "train loss"}),
    "a split": lambda home: ft.backtest("sample", train_fraction=0.99),
    "two ways": lambda home: ft.plan("1e22", law="besiroglu_2024", fit="fit.json"),
    "no law": lambda home: ft.plan("1e22"),
    "no budget": lambda home: ft.plan(law="besiroglu_2024"),
    "active": lambda home: ft.plan("1e22", law="besiroglu_2024", active=2),
    "experts": lambda home: ft.plan("1e22", law="besiroglu_2024", experts=8),
    "ladder": lambda home: ft.plan(loss=2.5, law="besiroglu_2024", ladder="1e20"),
    "deadline": lambda home: ft.plan("1e22", law="besiroglu_2024", deadline="30 days"),
    "epochs": lambda home: ft.plan("1e22", law="besiroglu_2024", max_epochs=2),
    "no target": lambda home: ft.next_run(law="besiroglu_2024"),
    "a fit and a law": lambda home: ft.next_run("1e20", law="besiroglu_2024", fit="fit.json"),
    "no budget to compare": lambda home: ft.compare("a lot"),
    "no formula": lambda home: ft.law("own", "A * N"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_no_error_of_python_names_an_option(mistake: str, tmp_path: Path) -> None:
    with pytest.raises(ft.ForetokenError) as refused:
        MISTAKES[mistake](tmp_path)
    assert "--" not in str(refused.value)


def test_a_verb_names_options(tmp_path: Path) -> None:
    RUNS.to_csv(tmp_path / "runs.csv", index=False)
    with pytest.raises(ft.ForetokenError, match="--map loss=val_loss"):
        foretoken("fit", tmp_path / "runs.csv")
    with pytest.raises(ft.ForetokenError, match=r'rename=\{"loss": "val_loss"\}'):
        ft.fit(tmp_path / "runs.csv")
