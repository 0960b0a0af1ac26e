from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from foretoken.abilities.metrics import score_column
from foretoken.abilities.table import ScoreReading, read_scores
from foretoken.errors import ForetokenError, TableError

SIZES = [1e8, 3e8, 1e9, 3e9, 1e10]


def frame(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"params": SIZES, "tokens": 3e11, "score": [0.3, 0.4, 0.5, 0.6, 0.7], **columns})


def test_more_items_than_any_benchmark_has_are_refused() -> None:
    table = pd.DataFrame({"params": np.geomspace(1e8, 1e11, 8), "task": "copa", "metric": "acc", "score": 0.6})
    with pytest.raises(TableError, match="items") as refused:
        read_scores(table.assign(n=[100.0] * 7 + [1e308]))
    assert refused.value.code == "impossible_items"


def test_percent_and_fractions_are_told_apart() -> None:
    whole = read_scores(frame(task="copa", metric="acc"))
    percent = read_scores(frame(task="copa", metric="acc", score=100 * frame()["score"]))
    assert np.allclose(whole.frame["score"], percent.frame["score"])
    assert set(percent.frame["unit"]) == {"percent"}
    assert (percent.frame["chance"] == 0.5).all()


@pytest.mark.parametrize(("human", "expected"), [(94.0, 0.94), (0.94, 0.94)])
def test_a_level_is_read_in_either_unit(human: float, expected: float) -> None:
    for scale in (1.0, 100.0):
        table = read_scores(frame(score=scale * frame()["score"]), reading=ScoreReading(human=human))
        assert np.allclose(table.frame["human"], expected)


def test_shots_may_be_words_or_numbers() -> None:
    words = read_scores(frame(task="copa", metric="acc", shots=["zero", "few", "few", "zero", "few"]))
    assert set(words.frame["shots"]) == {"zero", "few"}
    numbers = read_scores(frame(task="copa", metric="acc", shots=[0.0, 5.0, 5.0, 0.0, 5.0]))
    assert set(numbers.frame["shots"]) == {"0", "5"}


def test_wide_tables_are_made_long() -> None:
    wide = frame(err_rte=[0.5, 0.5, 0.4, 0.4, 0.3], acc_copa=0.6, loss_c4=3.0, acc_copa_se=0.1).drop(columns="score")
    table = read_scores(wide)
    assert {name.task: name.metric for name, _ in table.curves()} == {"rte": "err", "copa": "acc"}
    assert any("err_rte" in told for told in table.assumed)
    assert set(table.frame.loc[table.frame["task"] == "rte", "better"]) == {"down"}


def test_one_column_of_a_wide_table_names_the_task() -> None:
    table = read_scores(frame(err_avg_17=0.6).drop(columns="score"), {"score": "err_avg_17"})
    ((name, rows),) = table.curves()
    assert name.task == "err_avg_17"
    assert (rows["better"] == "down").all()


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("err_agi_eval_lsat_ar", ("agi_eval_lsat_ar", "err")),
        ("hellaswag/acc_norm,none", ("hellaswag", "acc_norm")),
        ("mmlu_acc_stderr", None),
        ("val_loss", None),
        ("params", None),
    ],
)
def test_columns_that_are_scores(name: str, parts: tuple[str, str] | None) -> None:
    assert score_column(name) == parts


@pytest.mark.parametrize(
    ("columns", "code"),
    [
        ({"score": [0.3, 0.4, 0.5, 0.6, 1.3]}, "score_out_of_bounds"),
        ({"score": [30.0, 40.0, 50.0, 60.0, 130.0]}, "score_out_of_bounds"),
        ({"score": [0.3, 0.4, 0.5, 0.6, -0.1]}, "score_out_of_bounds"),
        ({"score": [0.3, 0.4, 50.0, 60.0, 70.0]}, "mixed_units"),
        ({"metric": "ppl", "score": [9.0, 8.0, float("inf"), 6.0, 5.0]}, "score_out_of_bounds"),
        ({"metric": "wobble"}, "unknown_direction"),
        ({"params": 1e8}, "one_size"),
        ({"params": [1e8, 3e8, 1e9, 1e9, 1e10]}, "repeated_scores"),
        ({"eval_set": ["a", "a", "b", "b", "b"]}, "mixed_eval_sets"),
        ({"chance": 0.5, "ceiling": 0.4}, "chance_above"),
        ({"params": [125, 760, 1.3e9, 2.7e9, 1.3e10]}, "mixed_units"),
        ({"params": [1e8, 3e8, float("nan"), 3e9, 1e10]}, "missing_size"),
        ({"params": [1e8, 1e8, float("nan"), 1e8, 1e8]}, "missing_size"),
    ],
)
def test_bad_tables_are_refused_with_code_and_cure(columns: dict[str, object], code: str) -> None:
    with pytest.raises(TableError) as caught:
        read_scores(frame(**columns))
    assert caught.value.code == code
    assert caught.value.cure


@pytest.mark.parametrize(
    "name", ["training_flops", "TrainFLOPs", "Training compute (FLOP)", "total_flos", "FLOPs (1E21)", "compute_budget"]
)
def test_compute_under_another_name_is_asked_for_by_that_name(name: str) -> None:
    compute = frame(task="copa", metric="acc", **{name: [1.0, 3.0, 10.0, 30.0, 100.0]})
    for table in (compute.drop(columns=["params", "tokens"]), compute.assign(params=1e9)):
        with pytest.raises(TableError) as caught:
            read_scores(table)
        assert f'"flops": "{name}"' in caught.value.cure
    table = read_scores(compute.assign(params=1e9, tokens=1e9), {"flops": name})
    assert table.against == "flops"
    assert table.frame["flops"].iloc[0] == (1e21 if "1E21" in name else 1.0)


def test_a_cost_in_dollars_or_flops_of_a_step_are_no_training_compute() -> None:
    table = frame(**{"Training compute cost (2023 USD)": SIZES, "flops_per_step": SIZES}).drop(columns="params")
    with pytest.raises(TableError) as caught:
        read_scores(table)
    assert "flops" not in caught.value.cure


@pytest.mark.parametrize(
    ("table", "code", "said"),
    [
        (frame().head(0), "empty_table", "holds no scores"),
        (frame().head(0).rename(columns={"score": "acc_copa"}), "empty_table", "holds no scores"),
        (frame(score=float("nan")), "missing_column", "all are empty or NaN, in 5 rows"),
    ],
)
def test_a_table_of_names_alone_or_of_empty_cells_says_so(table: pd.DataFrame, code: str, said: str) -> None:
    with pytest.raises(TableError, match=said) as caught:
        read_scores(table)
    assert caught.value.code == code
    assert caught.value.cure


def test_a_task_in_fractions_beside_one_in_percent_is_refused() -> None:
    both = pd.concat([frame(task="copa"), frame(task="rte", score=100 * frame()["score"])])
    with pytest.raises(TableError) as caught:
        read_scores(both)
    assert caught.value.code == "mixed_units"


def test_one_percentage_among_fractions_is_refused_until_the_unit_is_said() -> None:
    for score in ([0.1, 0.2, 0.3, 0.5, 95.0], [0.3, 0.4, 50.0, 60.0, 70.0]):
        with pytest.raises(TableError) as caught:
            read_scores(frame(task="copa", metric="acc", score=score))
        assert caught.value.code == "mixed_units"
        table = read_scores(frame(task="copa", metric="acc", score=score), reading=ScoreReading(unit="percent"))
        assert table.frame["score"].tolist() == pytest.approx([0.01 * one for one in score])


def test_what_is_doubtful_is_flagged() -> None:
    below = read_scores(frame(task="wic", metric="acc", score=0.0))
    assert {"below_chance", "constant_scores"} <= {check.code for check in below.checks}
    mixed = read_scores(frame(task="squad", metric=["f1", "f1", "f1", "em", "em"]))
    assert [check.code for check in mixed.checks] == ["mixed_metrics"]


def test_repeats_of_seeds_stay() -> None:
    twice = pd.concat([frame(task="copa", seed=seed, run=f"r{seed}") for seed in (1, 2)])
    assert len(read_scores(twice)) == 10
    assert len(read_scores(pd.concat([frame(), frame()]))) == 5


@pytest.mark.parametrize(
    ("columns", "axis"),
    [({}, "params"), ({"params": 1e9, "tokens": SIZES}, "tokens"), ({"tokens": SIZES}, "flops")],
)
def test_the_axis_is_what_varies(columns: dict[str, object], axis: str) -> None:
    assert read_scores(frame(**columns)).against == axis


def test_perplexity_has_no_bounds() -> None:
    table = read_scores(frame(task="lambada", metric="ppl", score=[20.0, 10.0, 5.0, 3.0, 120.0]))
    assert set(table.frame["unit"]) == {"raw"}
    assert table.frame["score"].max() == 120.0


def test_a_direction_that_is_asked_turns_no_metric_round_whose_name_says_it() -> None:
    both = pd.concat([frame(task="copa", metric="acc"), frame(task="copa", metric="wobble")])
    table = read_scores(both, reading=ScoreReading(better="lower"))
    assert dict(zip(table.frame["metric"], table.frame["better"], strict=True)) == {"acc": "up", "wobble": "down"}


def test_a_direction_that_is_asked_fills_the_gaps_of_the_column() -> None:
    table = read_scores(
        frame(task="copa", metric="wobble", better=["up", "", None, "up", ""]), reading=ScoreReading(better="higher")
    )
    assert set(table.frame["better"]) == {"up"}


def test_a_column_that_is_merely_a_score_may_be_better_down() -> None:
    for word in ("lower", "down", "min"):
        assert set(read_scores(frame(), reading=ScoreReading(better=word)).frame["better"]) == {"down"}


def test_a_table_that_was_read_is_not_read_otherwise_unsaid() -> None:
    table = read_scores(frame(task="copa", metric="acc"))
    assert read_scores(table) is table
    for arguments in ({"reading": ScoreReading(human=0.9)}, {"where": "task=copa"}, {"rename": {"score": "acc"}}):
        with pytest.raises(ForetokenError, match="stands as it is"):
            read_scores(table, **arguments)


def test_hard_tasks_in_percent_are_read_where_a_curve_climbs_through_one() -> None:
    # GPT-3 on sums of three digits, and one that leaps: most scores are below 1 percent.
    sums = frame(task="sums", metric="acc", score=[0.15, 0.45, 0.9, 8.4, 80.4])
    assert read_scores(sums).frame["score"].tolist() == pytest.approx([0.0015, 0.0045, 0.009, 0.084, 0.804])
    for score in ([0.31, 0.35, 0.42, 0.45, 3.5], [0.4, 45.0, 0.5, 0.6, 62.0]):
        with pytest.raises(TableError, match="most scores lie between 0 and 1"):
            read_scores(frame(task="sums", metric="acc", score=score))


@pytest.mark.parametrize("metric", ["f1", "bleu", "pass@1", "answer_probability"])
def test_parts_of_a_point_are_no_right_answers(metric: str) -> None:
    percent = frame(task="copa", metric=metric, n=100, score=[0.3, 5.0, 10.0, 20.0, 40.0])
    assert read_scores(percent).frame["score"].iloc[0] == pytest.approx(0.003)
    with pytest.raises(TableError, match=r"0\.3 percent of 100 questions is less than one"):
        read_scores(percent.assign(metric="exact_match"))


def test_rows_of_a_hard_task_are_not_taken_for_fractions_where_their_table_is_in_percent() -> None:
    hard, easy = [0.05, 0.1, 0.2, 0.6, 0.7], [50.0, 60.0, 70.0, 80.0, 90.0]
    both = pd.concat([frame(task="sums", score=hard), frame(task="copa", score=easy)], ignore_index=True)
    both["metric"] = "acc"
    with pytest.raises(TableError, match="those of the whole table are in percent") as caught:
        read_scores(both, where="task=sums")
    assert caught.value.code == "mixed_units"
    for unit, largest in (("percent", 0.007), ("fraction", 0.7)):
        table = read_scores(both, where="task=sums", reading=ScoreReading(unit=unit))
        assert table.frame["score"].max() == pytest.approx(largest)
    fractions = both.assign(score=both["score"] / 100)
    assert read_scores(fractions, where="task=sums").frame["score"].max() == pytest.approx(0.007)


def test_a_column_says_the_unit() -> None:
    hard = 0.1 * np.arange(1, 6)
    table = read_scores(frame(task="adding", metric="acc", score=hard, unit="percent"))
    assert table.frame["score"].tolist() == pytest.approx(0.01 * hard)
    bleu = read_scores(frame(task="wmt", metric="bleu", score=30.0 + hard, unit="raw"))
    assert bleu.frame["score"].tolist() == pytest.approx(30.0 + hard)
    with pytest.raises(TableError) as caught:
        read_scores(frame(task="copa", metric="acc", unit=["percent", "fraction"] * 2 + ["percent"]))
    assert caught.value.code == "mixed_units"


def test_a_level_is_that_of_one_scale_and_the_others_are_told() -> None:
    rows = [
        {"params": size, "tokens": 3e11, "task": task, "metric": metric, "score": score}
        for task, metric, score in (("a", "acc", 0.4), ("b", "err", 0.6), ("c", "ppl", 20.0))
        for size in (1e8, 1e9, 1e10)
    ]
    table = read_scores(pd.DataFrame(rows), reading=ScoreReading(human=0.94, unit="fraction"))
    human = table.frame.groupby("metric")["human"].first()
    assert human["acc"] == 0.94
    assert human[["err", "ppl"]].isna().all()
    assert any("--human 0.94 is taken for acc, not for err, ppl" in told for told in table.assumed)


@pytest.mark.parametrize("metric", ["err", "ppl"])
def test_a_level_is_that_of_the_only_metric(metric: str) -> None:
    table = read_scores(frame(metric=metric), reading=ScoreReading(human=0.25))
    assert (table.frame["human"] == 0.25).all()
    assert not any("--human" in told for told in table.assumed)


def test_an_error_s_chance_lies_above_its_ceiling() -> None:
    falling = frame(metric="err")
    assert len(read_scores(falling, reading=ScoreReading(chance=0.75, ceiling=0.05)))
    with pytest.raises(TableError, match="no worse than the ceiling"):
        read_scores(falling, reading=ScoreReading(chance=0.05, ceiling=0.75))
