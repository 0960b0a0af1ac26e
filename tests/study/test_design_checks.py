"""What planned runs already show is refused before anything is trained, with the code that the fit would give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from foretoken.cli import main
from foretoken.errors import DesignError, RefusedError
from foretoken.fits import fit
from foretoken.laws import LAWS
from foretoken.runs.record import RunRecord
from foretoken.runs.schema import DesignSection
from foretoken.runs.spec import RunSpec
from foretoken.runs.study_file import load_study
from foretoken.runs.table import table_from_records
from foretoken.study.design_checks import check_fittable, check_sizes
from foretoken.study.preview import design, dry_run
from foretoken.study.run_study import run

from ..runs.test_spec import SPEC

WIDTHS = (16, 24, 32, 40, 48, 56, 64, 72)


def planned(width: int, steps: int) -> RunSpec:
    """A run of this width and length."""
    shape = replace(SPEC.shape, width=width, heads=2)
    return replace(SPEC, shape=shape, tokens=steps * SPEC.batch_tokens)


def proportional() -> list[RunSpec]:
    """Tokens in a fixed ratio to parameters."""
    per_step = planned(WIDTHS[0], 100).parameters.total / 100
    return [planned(width, round(planned(width, 1).parameters.total / per_step)) for width in WIDTHS]


def grid() -> list[RunSpec]:
    """Four sizes at three lengths each."""
    return [planned(width, steps) for width in WIDTHS[:4] for steps in (100, 200, 400)]


REFUSED: dict[str, Callable[[], list[RunSpec]]] = {
    "too_few_runs": lambda: grid()[:4],
    "one_size": lambda: [planned(32, steps) for steps in range(100, 900, 100)],
    "one_token_count": lambda: [planned(width, 100) for width in WIDTHS],
    "collinear": proportional,
}


@pytest.mark.parametrize("law", ["coupled", "chinchilla"])
@pytest.mark.parametrize("code", REFUSED)
def test_each_reason_has_the_code_of_the_fit(code: str, law: str) -> None:
    runs = REFUSED[code]()
    with pytest.raises(DesignError, match=r"cannot be fitted to the planned runs") as refused:
        check_fittable(runs, law)
    assert refused.value.code == code
    assert refused.value.cure
    records = [RunRecord(spec=spec, status="finished", loss=4.0 - 0.01 * k) for k, spec in enumerate(runs)]
    with pytest.raises(RefusedError) as after:
        fit(table_from_records(records, "a test"), law)
    assert after.value.code == code, "the same runs, once they are trained"


@pytest.mark.parametrize("code", REFUSED)
def test_runs_for_another_table_are_flagged_alone(code: str) -> None:
    checks = check_fittable(REFUSED[code](), "chinchilla", refuse=False)
    assert code in [check.code for check in checks if check.is_doubt]
    assert not any(check.is_refusal for check in checks)


@pytest.mark.parametrize(("train", "adds"), [("true", False), ("false", True)])
def test_listed_runs_without_a_target_may_complete_another_table(mini_file: Path, train: str, adds: bool) -> None:
    text = mini_file.read_text()
    design = '[design]\nkind = "runs"\nruns = [{ params = 4000, tokens = 20000 }]\n'
    before, after = text.split("[design]")[0], text.split("[target]")[1]
    mini_file.write_text(f"{before}{design}[target]\ntrain = {train}{after}")
    assert load_study(mini_file).adds_runs is adds


@pytest.mark.parametrize("law", ["coupled", "chinchilla"])
def test_a_grid_passes_and_few_runs_are_flagged(law: str) -> None:
    assert check_fittable(grid() * 2, law) == check_fittable(grid(), law), "a run that is there twice counts once"
    enough = len(LAWS[law].parameters) + 1
    doubts = check_fittable(grid()[:enough], law)
    assert [check.code for check in doubts if check.is_doubt][:1] == ["few_runs"]


def test_learning_rates_of_one_run_count_once() -> None:
    tried = [replace(spec, learning_rate=rate) for spec in grid()[:4] for rate in (1e-3, 2e-3, 4e-3)]
    with pytest.raises(DesignError) as refused:
        check_fittable(tried, "chinchilla")
    assert refused.value.code == "too_few_runs"
    assert "4 usable runs" in (refused.value.got or "")


def test_seeds_count_as_runs() -> None:
    assert check_fittable([replace(spec, seed=seed) for spec in grid()[:4] for seed in range(4)], "chinchilla") == []


@pytest.fixture
def few_runs(mini_file: Path) -> Path:
    """A study of three small runs; its law has six parameters."""
    mini_file.write_text(mini_file.read_text().replace("budgets = [2e8, 4e8, 8e8]", "budgets = [2e8]"))
    return mini_file


def test_three_runs_for_six_parameters_train_nothing(
    few_runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By every door: in Python, and on the command line with exit code 2."""
    study, folder = load_study(few_runs), few_runs.parent / "runs" / "mini"
    for task in (run, design, dry_run):
        with pytest.raises(DesignError, match=r"(?s)coupled.*3 usable runs for 6 parameters") as refused:
            task(study, folder)
        assert refused.value.code == "too_few_runs"
    assert not (folder / "runs").exists()
    assert not (folder / "design.json").exists()
    assert not (folder / "calibration.json").exists()
    for arguments in (["design"], ["run"], ["run", "--dry-run"]):
        monkeypatch.setattr("sys.argv", ["foretoken", *arguments, str(few_runs), "--folder", str(folder)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        assert "too_few_runs" in capsys.readouterr().err


def test_a_ladder_may_forecast_its_own_continuation() -> None:
    """By the weighed laws, at the same ratio; another target, and a law of size and length, are refused."""
    *runs, target = proportional()
    codes = [check.code for check in check_fittable(runs, "weighed", target)]
    assert codes[0] == "collinear"
    assert not any(check.is_refusal for check in check_fittable(runs, "weighed", target))
    for law, aim in (("weighed", replace(target, tokens=5 * target.tokens)), ("coupled", target)):
        with pytest.raises(DesignError) as refused:
            check_fittable(runs, law, aim)
        assert refused.value.code == "collinear"


@pytest.mark.parametrize(
    "asked",
    [
        {"budgets": [1e8], "sizes_per_budget": 5},
        {"kind": "ladder", "params": [1e4, 1e4 + 1, 2e4, 4e4, 6e4], "tokens_per_param": [20]},
    ],
)
def test_fewer_sizes_than_were_asked_for_are_said(asked: dict[str, object]) -> None:
    section = DesignSection.model_validate(asked)
    runs = [planned(width, 100) for width in WIDTHS]
    assert check_sizes(section, runs[:5]) == []
    (check,) = check_sizes(section, [*runs[:4], runs[0]])
    assert (check.code, check.severity) == ("fewer_sizes", "doubt")
    assert f"5 sizes were asked for, and networks that small have only 4 at {runs[0].group}" in check.evidence


def test_so_few_sizes_that_no_law_can_be_fitted_are_refused_with_the_reason(mini_file: Path) -> None:
    text = mini_file.read_text().replace("sizes_per_budget = 4", "sizes_per_budget = 9")
    mini_file.write_text(text.replace("size_ratio = 1.6", "size_ratio = 1.05"))
    with pytest.raises(DesignError, match="9 sizes were asked for") as refused:
        design(load_study(mini_file))
    assert refused.value.code == "too_few_runs"
