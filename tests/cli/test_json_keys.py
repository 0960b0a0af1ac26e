"""What --json prints of verbs that need no training: strict JSON alone on standard output, with the keys promised."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import foretoken.fits
from foretoken.cli.fit import IN_THE_FILE_ALONE, fit_to_json
from foretoken.fits import Fit

from ..fuzz.verbs import foretoken as typed
from ..fuzz.verbs import strict_json

LAW = ("--law", "besiroglu_2024")
RUN = ("--params", "7B", "--tokens", "140B")
FIT = {
    *("law", "status", "parameters", "intervals", "forecast_parameters", "objective", "starts", "conditioning"),
    *("rows", "checks", "assumed", "seconds", "interval_seconds", "level", "sensitivity", "profiles", "noise"),
    *("ranges", "bootstrap", "params_column", "data_sha256", "version", "laws", "unit", "loss_unit"),
    *("eval_set", "tokenizer", "loss_column"),
}
PREDICT = {"loss", "low", "high", "level", "kind", "extrapolation", "checks", "unit", "law"}
PLAN = {
    *("params", "tokens", "flops", "loss", "interval", "band", "alternatives", "recipe", "cost", "extrapolation"),
    *("sources", "checks", "abilities", "abilities_careful", "scores"),
}
PUBLISHED = {"id", "law", "source", "status", "parameters", "counting", "compute", "loss", "corpus", "range", "of"}
LAWS = {"name", "formula", "predicts", "features", "parameters", "domain", "source", "published"}
MODEL = {
    "id",
    "name",
    "params",
    "tokens",
    "flops",
    "flops_source",
    "shape",
    "counted",
    "scores",
    "status",
    "weight_bytes",
}
TOKENIZER = {"name", "vocabulary", "merges", "scores", "longest", "pieces", "specials", "text"}
KEYS: dict[tuple[str, ...], set[str]] = {
    ("predict", "fit.json", *RUN): PREDICT - {"law"},
    ("plan", "--compute", "1e22", *LAW): PLAN,
    ("plan", "--compute", "1e22", "--fit", "fit.json"): PLAN,
    ("compare", "--compute", "1e22"): {"flops", "laws", "left_out", "spread", "assumed"},
    ("trends",): {"trends", "text", "budget", "budget_reason", "level", "assumed"},
    ("laws",): {"laws", "published"},
    ("laws", "show", "chinchilla"): LAWS,
    ("laws", "besiroglu_2024"): PUBLISHED,
    ("cite", "chinchilla"): {"name", "text", "bibtex"},
    ("models",): {"models", "benchmarks"},
    ("models", "--abilities"): {"abilities", "source", "status", "careful"},
    ("models", "gpt2_xl"): MODEL,
    ("models", "gpt2_zero_shot"): {"id", "title", "source", "status", "careful", "scores"},
    ("tokenizer", "train", "--text", "aaabdaaabac", "--kind", "plain", "--vocabulary", "7"): {*TOKENIZER, "path"},
}


def parsed(*words: object) -> Any:
    """What a verb prints as JSON."""
    return strict_json(typed(*words, "--json"))


@pytest.mark.parametrize("words", KEYS, ids=" ".join)
def test_a_verb_prints_its_keys(words: tuple[str, ...], in_workshop: Path) -> None:
    assert KEYS[words] <= set(parsed(*words))


def test_fit_prints_exactly_the_fields_of_a_fit_but_those_in_the_file_alone(workshop: Path) -> None:
    values = fit_to_json(Fit.load(workshop / "fit.json"))
    assert {name for name in values if not name.endswith("_reason")} == FIT
    renamed = {"map_parameters": "forecast_parameters"}
    names = {renamed.get(field.name, field.name) for field in fields(Fit)}
    assert names - FIT == set(IN_THE_FILE_ALONE)


def test_a_parameter_that_is_null_has_its_reason_beside_it(workshop: Path) -> None:
    fitted = Fit.load(workshop / "fit.json")
    values = fit_to_json(fitted)
    nulls = [name for name, value in fitted.parameters.items() if value is None]
    assert nulls == [key.removesuffix("_reason") for key in values if key.endswith("_reason")]
    assert all(values[f"{name}_reason"] == fitted.reasons[name] for name in nulls)


def test_the_file_of_a_fit_holds_what_json_leaves_out(workshop: Path) -> None:
    kept = strict_json((workshop / "fit.json").read_text())
    assert set(IN_THE_FILE_ALONE) <= set(kept)
    assert set(kept) >= FIT - {"unit"}


def test_fit_hands_its_options_on_and_prints_the_result(in_workshop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handed: dict[str, object] = {}

    def pretend(table: object, law: str, **options: object) -> Fit:
        handed.update(options, law=law)
        return Fit.load("fit.json")

    monkeypatch.setattr(foretoken.fits, "fit", pretend)
    values = parsed("fit", "runs.csv", "--level", "0.8", "--objective", "student_t", "--profile", "alpha, beta,")
    assert set(values) == set(fit_to_json(Fit.load("fit.json")))
    assert handed == {
        "law": "weighed",
        "params": "auto",
        "level": 0.8,
        "objective": "student_t",
        "profile": ("alpha", "beta"),
        "keep_outliers": False,
    }


def test_a_ledger_prints_its_entry_its_points_its_outcome_and_its_summary(in_workshop: Path, tmp_path: Path) -> None:
    where = ("--ledger", str(tmp_path))
    entry = parsed("ledger", "freeze", "fit.json", "big", *RUN, *where)
    assert {"loss", "low", "high", "level", "flops", "compute_factor", "frozen_at", "data_sha256"} <= set(entry)
    (point,) = parsed("ledger", "score", "big", "--at", "16B:2.3", *where)["points"]
    assert {"loss", "low", "high", "share"} <= set(point)
    outcome = parsed("ledger", "score", "big", "--loss", "2.2", *where)
    assert {"loss", "error", "inside", "started_at", "finished_at", "rivals"} <= set(outcome)
    assert outcome["error"] == pytest.approx((entry["loss"] - 2.2) / 2.2)
    summary = parsed("ledger", "show", *where)
    assert (summary["frozen"], summary["scored"]) == (1, 1)
    assert summary["mean_error"] == pytest.approx(abs(outcome["error"]))


def test_a_tokenizer_file_is_shown_as_it_was_learned(tmp_path: Path) -> None:
    out = tmp_path / "tokenizer.json"
    learned = parsed("tokenizer", "train", "--text", "aaabdaaabac", "--kind", "plain", "--vocabulary", "7", "-o", out)
    shown = parsed("tokenizer", "show", out, "--text", "aaab")
    assert learned["path"] == str(out)
    assert shown["merges"] == learned["merges"]
    assert "".join(piece["token"] for piece in shown["pieces"]) == "aaab"


@pytest.mark.parametrize("level", ["0.5", "0.99"])
def test_a_wider_interval_for_a_higher_level_around_the_same_loss(level: str, in_workshop: Path) -> None:
    middle, other = parsed("predict", "fit.json", *RUN), parsed("predict", "fit.json", *RUN, "--level", level)
    assert other["loss"] == middle["loss"]
    assert other["level"] == float(level)
    widths = [row["high"] - row["low"] for row in (middle, other)]
    assert (widths[1] > widths[0]) == (float(level) > 0.9)


def test_suffixes_and_plain_numbers_are_the_same_run(in_workshop: Path) -> None:
    assert parsed("predict", "fit.json", *RUN) == parsed("predict", "fit.json", "--params", "7e9", "--tokens", "1.4e11")


def test_a_plan_writes_a_study_and_configs_beside_its_json(in_workshop: Path, tmp_path: Path) -> None:
    plan = parsed("plan", "--compute", "1e22", *LAW, "-o", tmp_path / "planned")
    written = sorted(path.name for path in (tmp_path / "planned").iterdir())
    assert any(name.endswith(".toml") for name in written)
    assert plan["params"] > 0


def test_sizes_are_a_list_on_the_command_line(in_workshop: Path) -> None:
    plan = parsed("plan", "--compute", "1e22", *LAW, "--sizes", "3B, 7B,13B")
    assert plan["params"] in (3e9, 7e9, 13e9)
