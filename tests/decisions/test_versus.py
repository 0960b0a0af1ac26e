"""Decisions between two recipes, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import foretoken as ft
from foretoken.decisions import Versus, versus, words
from foretoken.decisions.crossing import Crossing
from foretoken.decisions.result import ComputeSaved
from foretoken.errors import ForetokenError, RefusedError

from ..fuzz.verbs import silent
from .pairs import SIZES, table, true_loss


@pytest.fixture(scope="module")
def crossed() -> Versus:
    """The second falls faster with size and begins worse: it is ahead for large runs."""
    return versus(table(), table(scale=1.02, alpha=0.40), compute=1e21, first="slow", second="fast")


def test_the_better_recipe_is_found(crossed: Versus) -> None:
    assert crossed.winner == "fast"
    assert crossed.difference > 0
    assert crossed.low < crossed.difference < crossed.high
    assert crossed.p_first < 0.1
    assert crossed.difference == pytest.approx(crossed.at.first.loss - crossed.at.second.loss)
    assert [point.flops for point in crossed.points] == sorted(point.flops for point in crossed.points)


def test_the_crossing_holds_the_true_one(crossed: Versus) -> None:
    cross = crossed.crossing
    assert cross is not None
    sizes = np.geomspace(1e6, 1e10, 400)
    budgets = np.geomspace(1e16, 1e21, 200)

    def best(scale: float, alpha: float) -> np.ndarray:
        return true_loss(sizes[None], budgets[:, None] / 6 / sizes[None], scale, alpha).min(axis=1)

    true = budgets[np.argmax(best(1.0, 0.34) > best(1.02, 0.40))]
    assert (cross.low or 0) < true < (cross.high or np.inf)
    assert crossed.crossing_reason is None


def test_compute_saved_is_where_the_losses_are_equal(crossed: Versus) -> None:
    saved = crossed.compute_saved
    assert saved is not None
    assert saved.factor < 1
    assert saved.share < 0
    other = versus(table(scale=1.02, alpha=0.40), table(), compute=1e21).compute_saved
    assert other is not None
    assert other.factor > 1
    assert other.low is not None
    assert other.low < other.factor


def test_a_loss_out_of_reach_saves_nothing_and_says_why() -> None:
    found = versus(table(), table(scale=0.9).assign(loss=lambda frame: 0.6 * frame["loss"]), compute=1e20)
    assert found.compute_saved is None
    assert "does not reach" in str(found.compute_saved_reason)
    assert found.crossing is None
    assert "ahead at every compute" in str(found.crossing_reason)


def test_one_table_of_two_recipes_is_as_two_tables(tmp_path: Path) -> None:
    both = pd.concat([table().assign(data="a"), table(scale=1.05).assign(data="b")])
    both.to_csv(tmp_path / "runs.csv", index=False)
    one = versus(tmp_path / "runs.csv", by="data", compute=1e20)
    two = versus(table(), table(scale=1.05), compute=1e20)
    assert (one.first, one.second) == ("a", "b")
    assert one.difference == pytest.approx(two.difference, rel=1e-6)
    assert one.p_first == pytest.approx(two.p_first, abs=1e-6)


def test_saved_fits_are_compared(tmp_path: Path) -> None:
    for name, runs in (("ours", table()), ("theirs", table(scale=1.05))):
        ft.fit(runs).save(tmp_path / f"{name}.json")
    found = versus(tmp_path / "ours.json", tmp_path / "theirs.json", compute="1e20 FLOP")
    assert (found.first, found.second, found.winner) == ("ours", "theirs", "ours")
    assert json.dumps(found.to_json(), allow_nan=False)
    assert {"difference", "low", "high", "level", "p_first", "crossing", "compute_saved"} <= set(found.to_json())


def test_saved_fits_of_rows_in_any_order_go_together_run_by_run() -> None:
    ours, theirs = table(), table(scale=1.05)
    one = versus(ft.fit(ours), ft.fit(theirs), compute=1e20)
    other = versus(ft.fit(ours.sample(frac=1, random_state=1)), ft.fit(theirs[::-1]), compute=1e20)
    assert one.alike == pytest.approx(other.alike, abs=1e-3)
    assert (one.difference, one.low, one.high) == pytest.approx((other.difference, other.low, other.high), rel=0.02)
    assert sum("made anew" in text for text in other.assumed) == 2


def test_a_saved_fit_goes_with_a_table_run_by_run() -> None:
    found = versus(ft.fit(table()[::-1]), table(scale=1.05), compute=1e20)
    assert found.alike is not None
    assert found.alike > 0.9


def test_a_run_that_the_other_lacks_is_left_out() -> None:
    more = pd.concat([table(), pd.DataFrame({"params": [5e7], "tokens": [5e9], "loss": [true_loss(5e7, 5e9)]})])
    found = versus(more, table(scale=1.05), compute=1e20)
    assert found.alike is not None
    assert any("1 run left out" in text for text in found.assumed)


def test_a_ladder_is_compared_along_itself() -> None:
    n = np.geomspace(1e7, 1e9, 8)
    sides = [
        pd.DataFrame({"params": n, "tokens": 20 * n, "loss": true_loss(n, 20 * n, scale)}) for scale in (1.0, 1.05)
    ]
    found = versus(*sides, compute=1e21)
    assert found.split == "each along its own ladder"
    assert found.winner == "A"


def test_size_and_tokens_say_the_compute() -> None:
    found = versus(table(), table(scale=1.05), params="1B", tokens="20B")
    assert found.compute == pytest.approx(1.2e20)
    assert found.at.first.params == pytest.approx(1e9)
    assert found.at.second.tokens == pytest.approx(2e10)


def test_a_law_of_compute_alone_has_no_size() -> None:
    n = np.geomspace(1e7, 1e9, 8)
    sides = [
        pd.DataFrame({"params": n, "tokens": 1e9 * np.ones(8), "loss": true_loss(n, 1e9, scale)})
        for scale in (1.0, 1.1)
    ]
    found = versus(*sides, law="power", compute=1e18)
    assert found.at.first.params is None
    assert found.winner == "A"
    assert list(silent(found.to_json())) == []


def test_beside_every_open_end_stands_its_reason(crossed: Versus) -> None:
    told = replace(crossed, crossing=Crossing(1e20, None, None), compute_saved=ComputeSaved(1e20, 2.0, None, None))
    assert list(silent(told.to_json())) == []
    closed = replace(crossed, crossing=Crossing(1e20, 1e19, 1e21)).to_json()
    assert not {"low_reason", "high_reason"} & set(closed["crossing"])


def test_sentences_say_what_to_do(crossed: Versus) -> None:
    assert words.decision(crossed).startswith("Take fast") or "better bet" in words.decision(crossed)
    assert "They cross at" in words.crossing(crossed)
    assert "fast is ahead above it" in words.crossing(crossed)
    assert "more compute" in words.saved(crossed)
    assert crossed.summary().startswith(words.decision(crossed))
    equal = versus(table(), table(seed=1), compute=1e21)
    assert words.decision(equal).startswith("Undecided")


OTHER = {"scale": 1.05}


@pytest.mark.parametrize(
    ("a", "b", "options", "code"),
    [
        (table(), table(), {}, "same_runs"),
        (table().assign(eval_set="c4"), table(**OTHER).assign(eval_set="pile"), {}, "different_eval_sets"),
        (table().assign(tokenizer="x"), table(**OTHER).assign(tokenizer="y"), {}, "different_tokenizers"),
        (table().assign(loss_unit="bits/byte"), table(**OTHER), {}, "different_units"),
        (table(), table(**OTHER).iloc[:3], {}, "too_few_runs"),
        (table().assign(data="a"), None, {"by": "data"}, "one_recipe"),
        (table().assign(unique_tokens=1e9), table(**OTHER).assign(unique_tokens=1e9), {"law": "repeated_data"},
         "other_features"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused(
    a: pd.DataFrame, b: pd.DataFrame | None, options: dict[str, str], code: str
) -> None:
    with pytest.raises(ForetokenError) as caught:
        versus(a, b, compute=1e20, **options)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "a decision is made at a compute"),
        ({"compute": "lots"}, "compute"),
        ({"compute": -1.0}, "above 0"),
        ({"compute": float("nan")}, "compute"),
        ({"compute": 1e20, "level": 1.5}, "level"),
        ({"compute": 1e20, "kind": "some"}, "unknown kind"),
        ({"compute": 1e20, "params": 1e9, "tokens": 1e9}, "already say the compute"),
        ({"compute": 1e20, "by": "data"}, "two tables and a column"),
        ({"compute": 1e20, "first": "a", "second": "a"}, "itself"),
    ],
)
def test_bad_requests_name_a_cure(options: dict[str, object], said: str) -> None:
    with pytest.raises(ForetokenError, match=said):
        versus(table(), table(**OTHER), **options)  # type: ignore[arg-type]


def test_one_table_needs_the_column_and_two_of_its_words() -> None:
    three = pd.concat([table(scale=1 + 0.05 * k).assign(data=f"d{k}") for k in range(3)])
    with pytest.raises(ForetokenError, match="two recipes"):
        versus(three, compute=1e20)
    with pytest.raises(ForetokenError, match="3 recipes"):
        versus(three, by="data", compute=1e20)
    with pytest.raises(ForetokenError, match="d1"):
        versus(three, by="data", first="d7", second="d1", compute=1e20)
    with pytest.raises(ForetokenError, match="no column"):
        versus(three, by="dta", compute=1e20)
    assert versus(three, by="data", first="d2", second="d1", compute=1e20).winner == "d1"


def test_what_is_unknown_or_far_is_said() -> None:
    small, large = table(), table(**OTHER)
    large = large[large["params"] > 5e7].assign(params=lambda frame: 100 * frame["params"])
    large = pd.concat([large, large.assign(tokens=10 * large["tokens"], loss=0.9 * large["loss"])])
    found = versus(small, large, law="chinchilla", compute=1e23)
    codes = {check.code for check in found.checks}
    assert {"no_overlap", "far_extrapolation", "eval_set_unknown"} <= codes
    said = versus(small.assign(eval_set="c4"), table(**OTHER).assign(eval_set="c4"), compute=1e20)
    assert "eval_set_unknown" not in {check.code for check in said.checks}


def test_columns_by_other_names_must_be_the_same_column(tmp_path: Path) -> None:
    frames = [table().rename(columns={"loss": "c4"}), table(**OTHER).rename(columns={"loss": "pile"})]
    fits = [ft.fit(frame, rename={"loss": name}) for frame, name in zip(frames, ("c4", "pile"), strict=True)]
    with pytest.raises(RefusedError) as caught:
        versus(fits[0], fits[1], compute=1e20)
    assert caught.value.code == "different_losses"


def test_exact_runs_do_not_break_it() -> None:
    found = versus(table(noise=0.0), table(scale=1.05, noise=0.0), compute=6 * 20 * SIZES[-1] ** 2)
    assert found.winner == "A"
