"""The long tail: the price of a decade of rarity, where there is one, and what is doubted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.special import expit

from foretoken.abilities import CountedAnswer, tail
from foretoken.abilities.answers import read_answers
from foretoken.abilities.surface import Likelihood
from foretoken.abilities.tail_result import Tail, TaskTail, sentence
from foretoken.errors import ForetokenError, RefusedError, TableError


def answers(
    sizes: int = 5, facts: int = 400, count: float = 1.0, params: float = 0.6, *, chance: float = 0.0, seed: int = 0
) -> pd.DataFrame:
    """Answers of models of 1e7 to 1e10 parameters to facts of 1 to 10^4 mentions, some of them harder than others."""
    random = np.random.default_rng(seed)
    size, fact = (part.ravel() for part in np.meshgrid(np.geomspace(1e7, 1e10, sizes), np.arange(facts), indexing="ij"))
    mentions = np.geomspace(1, 1e4, facts).round()[fact]
    odds = count * (np.log10(mentions) - 2) + params * (np.log10(size) - 8.5) + random.normal(0, 1, facts)[fact]
    correct = random.random(len(fact)) < chance + (1 - chance) * expit(odds)
    return pd.DataFrame({"params": size, "question": fact, "count": mentions, "correct": correct.astype(int)})


def only(found: Tail) -> TaskTail:
    (task,) = found.tasks
    return task


def codes(found: Tail) -> set[str]:
    return {check.code for check in found.checks}


@pytest.mark.parametrize("chance", [0.0, 0.25])
def test_the_price_of_a_decade_is_found(chance: float) -> None:
    found = tail(answers(chance=chance), chance=chance)
    task = only(found)
    price = task.price
    assert price is not None
    assert price.factor is not None
    assert price.high is not None
    assert price.pays
    assert price.low < 10 ** (1.0 / 0.6) < price.high
    assert price.low < price.factor < price.high < 100 * price.low
    assert "times larger gives" in sentence(task, 0.9)
    assert {"difficulty"} <= codes(found) <= {"difficulty", "few_questions"}


def test_scale_that_does_nothing_has_no_number() -> None:
    task = only(tail(answers(facts=2000, params=0.0)))
    assert task.price is not None
    assert task.price.verdict == "does_not_pay"
    assert (task.price.factor, task.price.high) == (None, None)
    assert task.price.low >= 1000
    assert task.params_slope is not None
    assert task.params_slope.low < 0 < task.params_slope.high
    assert "scale does not pay" in sentence(task, 0.9)
    values = task.to_json()["price"]
    assert values["high"] is None
    assert "slopes of size" in values["high_reason"]


def test_answers_that_depend_on_nothing_say_that_they_cannot_say() -> None:
    # Half are right at every count and every size: both slopes are 0, and draws of them as often below 0 as above.
    grid = np.meshgrid([1e7, 1e8, 1e9], [1, 10, 100, 1000], np.arange(4), indexing="ij")
    frame = pd.DataFrame({name: part.ravel() for name, part in zip(["params", "count", "n"], grid, strict=True)})
    question = frame["count"].astype(str) + "-" + frame["n"].astype(str)
    task = only(tail(frame.assign(question=question, correct=frame["n"] % 2).drop(columns="n")))
    assert task.price is not None
    assert task.price.verdict == "cannot_say"
    assert task.price.low < 1.0
    assert task.price.high is None
    assert "cannot be said" in sentence(task, 0.9)


def test_one_size_has_slopes_and_no_price() -> None:
    found = tail(answers(sizes=1))
    task = only(found)
    assert (task.price, task.params_slope) == (None, None)
    assert task.count_slope.low < 1.0
    assert "one size" in sentence(task, 0.9)
    assert "few_sizes" in codes(found)


def test_the_fit_is_the_best_and_its_gradient_exact() -> None:
    likelihood = Likelihood(read_answers(answers(sizes=3, facts=100)).tasks[0], 0.9)

    def cost(theta: np.ndarray) -> tuple[float, np.ndarray]:
        value, score, _ = likelihood.parts(theta)
        return -value, -likelihood.gradient(score, theta)

    best = minimize(cost, np.zeros(likelihood.size), jac=True, method="BFGS")
    assert likelihood.fitted().theta == pytest.approx(best.x, abs=1e-3)
    theta = np.array([0.1, -0.3, 0.4, 0.7])
    steps = 1e-5 * np.eye(4)
    numeric = [(cost(theta + step)[0] - cost(theta - step)[0]) / 2e-5 for step in steps]
    assert cost(theta)[1] == pytest.approx(numeric, rel=1e-5)


def test_questions_that_are_hard_for_all_models_widen_the_slope() -> None:
    alone = answers(facts=300)
    alone["question"] = np.arange(len(alone))
    shared, apart = (only(tail(frame, ceiling=1.0)).count_slope for frame in (answers(facts=300), alone))
    assert shared.high - shared.low > 1.2 * (apart.high - apart.low)


def test_bins_give_about_the_same_as_questions() -> None:
    frame = answers(facts=2000)
    decade = 10.0 ** (np.floor(np.log10(frame["count"])) + 0.5)
    grouped = frame.assign(count=decade).groupby(["params", "count"])["correct"]
    bins = pd.DataFrame({"score": 100 * grouped.mean(), "n": grouped.size()}).reset_index()
    found, whole = tail(bins), only(tail(frame))
    task = only(found)
    assert any("no question" in told for told in found.assumed)
    assert any("percent" in told for told in found.assumed)
    assert task.price is not None
    assert whole.price is not None
    assert task.price.factor is not None
    assert task.price.low < 10 ** (1 / 0.6) < (task.price.high or np.inf)
    assert [one.accuracy for one in task.models[0].bins] == pytest.approx(
        [one.accuracy for one in whole.models[0].bins], abs=0.05
    )


def test_decades_and_what_is_never_mentioned() -> None:
    frame = pd.DataFrame({"params": 1e8, "count": [0, 1, 9, 10, 1000], "n": 10, "correct": [1, 2, 4, 6, 10]})
    found = tail(frame)
    (model,) = only(found).models
    assert [(one.low, one.n, one.accuracy) for one in model.bins] == [
        (0.0, 10.0, 0.1), (1.0, 20.0, pytest.approx(0.3)), (10.0, 10.0, 0.6), (1000.0, 10.0, 1.0),
    ]  # fmt: skip
    assert any("never mentioned" in told for told in found.assumed)
    assert model.gap is not None
    assert model.gap.gap == pytest.approx(0.9)
    assert model.gap.low < 0.9 < model.gap.high <= 1.0 + 1e-9


def test_answers_one_by_one_and_from_a_table_are_the_same() -> None:
    frame = answers(sizes=4, facts=50)
    one_by_one = [
        CountedAnswer(question=str(question), count=count, correct=float(correct), params=params)
        for params, question, count, correct in frame.itertuples(index=False, name=None)
    ]
    assert only(tail(one_by_one)).to_json() == only(tail(frame)).to_json()


def test_flags_in_words_names_of_columns_and_tasks() -> None:
    frame = answers(sizes=4, facts=60)
    frame["correct"] = frame["correct"].map({1: "True", 0: "False"})
    frame = frame.rename(columns={"count": "hits_in_pile", "question": "qid"}).assign(task="capitals")
    found = tail(pd.concat([frame, frame.assign(task="rivers")]), rename={"count": "hits_in_pile"})
    assert [task.task for task in found.tasks] == ["capitals", "rivers"]
    assert found.tasks[0].models[0].n == 60


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"count": -1}, "`count` cannot be"),
        ({"correct": 2}, "outside their bounds"),
        ({"params": 0}, "`params`|params"),
        ({"correct": None}, "no answer|no column"),
        ({"chance": 1.0}, "`chance`"),
    ],
)
def test_what_cannot_be_is_refused(change: dict[str, object], told: str) -> None:
    with pytest.raises(TableError, match=told):
        tail(answers(sizes=2, facts=20).assign(**change))


def test_what_is_missing_is_named() -> None:
    for name in ("params", "count", "correct"):
        with pytest.raises(TableError, match=f"no column `{name}`"):
            tail(answers(sizes=2, facts=20).drop(columns=name))
    with pytest.raises(RefusedError, match="one_count"):
        tail(answers(sizes=2, facts=20).assign(count=7))
    with pytest.raises(ForetokenError, match=r"^ceiling: not a share"):
        tail(answers(sizes=2, facts=20), ceiling=1.5)


def test_doubts() -> None:
    falls = answers(facts=1000)
    falls.loc[falls["count"] > 1000, "correct"] = 0
    assert {"not_monotone", "misfit"} <= codes(tail(falls))
    assert "extrapolation" in codes(tail(answers(facts=2000, count=2.0, params=0.3)))
    easy = answers()
    easy["correct"] = 1
    assert "at_ceiling" in codes(tail(easy))
    assert "at_floor" in codes(tail(easy.assign(correct=0)))
    narrow = answers()
    assert "few_counts" in codes(tail(narrow[narrow["count"].between(10, 50)]))
    differ = answers(facts=1500, count=0.0)
    random = np.random.default_rng(1)
    slope = 0.4 * (np.log10(differ["params"]) - 7)
    differ["correct"] = (random.random(len(differ)) < expit(slope * (np.log10(differ["count"]) - 2))).astype(int)
    assert "slopes_differ" in codes(tail(differ))


def table_of_bins(**columns: object) -> pd.DataFrame:
    """Fractions that rise with size and mentions, of four models and four counts."""
    frame = pd.DataFrame({"params": np.repeat([1e7, 1e8, 1e9, 1e10], 4), "count": np.tile([1, 10, 100, 1000], 4)})
    return frame.assign(n=300, score=np.linspace(0.05, 0.9, 16)).assign(**columns)


@pytest.mark.parametrize("places", [[15], [0], range(12, 16), range(8, 16)], ids=["last", "first", "one model", "half"])
def test_fractions_beside_percent_are_refused(places: range | list[int]) -> None:
    mixed = np.linspace(0.05, 0.9, 16)
    mixed[list(places)] *= 100.0
    with pytest.raises(TableError) as refused:
        tail(table_of_bins(score=mixed))
    assert refused.value.code == "mixed_units"
    assert "percent" in refused.value.cure


def test_percent_of_hard_questions_is_read_and_what_is_said_is_believed() -> None:
    percent = [0.2, 0.5, 1.1, 3, 0.3, 0.9, 4, 9, 0.5, 2, 8, 20, 1, 5, 20, 50]
    assert tail(table_of_bins(n=3000, score=percent)).tasks[0].models[0].bins[0].accuracy == pytest.approx(0.002)
    with pytest.raises(TableError, match=r"0\.5 percent of 20 questions is less than one"):
        tail(table_of_bins(n=20, score=np.r_[0.5, 10.0 + 5.0 * np.arange(15)]))
    assert tail(table_of_bins(score=np.r_[np.full(15, 0.5), 3.0]), unit="percent").tasks[0].models[0].accuracy == 0.005


def test_messages_name_what_has_a_name() -> None:
    for columns in ({"score": -0.5}, {"score": np.r_[np.full(15, 50.0), np.inf]}):
        with pytest.raises(TableError, match="scores lie outside"):
            tail(table_of_bins(**columns))
    with pytest.raises(TableError, match="scores of rivers lie outside"):
        tail(table_of_bins(score=-0.5, task="rivers"))
    for columns in ({"n": 0.5}, {"score": None}, {"correct": 301}):
        with pytest.raises(TableError) as refused:
            tail(table_of_bins(**columns))
        assert all((refused.value.expected or refused.value.got, refused.value.cure))
    assert "raw" not in str(refused.value)


def test_rows_that_stand_twice_are_told() -> None:
    frame = table_of_bins()
    assert any("16 rows with the same numbers" in told for told in tail(pd.concat([frame, frame])).assumed)
    asked = answers(sizes=2, facts=30)
    assert any("1 row with a question more than once" in told for told in tail(pd.concat([asked, asked[:1]])).assumed)
    assert not any("each counts" in told for found in (tail(frame), tail(asked)) for told in found.assumed)


def test_guessing_that_is_nearly_always_right_is_no_crash() -> None:
    assert "at_floor" in codes(tail(table_of_bins(chance=0.97)))


def test_a_model_that_saw_no_fact_and_models_of_one_name() -> None:
    frame = table_of_bins(model="a")
    frame.loc[frame["params"] < 1e8, "count"] = 0
    task = only(tail(frame))
    assert [one.name for one in task.models] == ["a 10.0M", "a 100M", "a 1.00B", "a 10.0B"]
    assert all(np.isfinite([point.accuracy for point in one.curve]).all() for one in task.models)


def test_prices_in_words_are_no_powers_of_ten_where_none_are_due() -> None:
    rising = table_of_bins(n=10**6)
    odds = np.log10(rising["count"]) + 0.5 * np.log10(rising["params"] / 1e10) - 2
    told = sentence(only(tail(rising.assign(score=expit(odds)))), 0.9)
    assert "e+" not in told
    assert "times larger gives" in told
    # Rarer facts are answered better: there is no cost that size could make up for.
    falling = only(tail(rising.assign(score=expit(-odds))))
    assert falling.price is None
    assert "rarer facts are answered better" in sentence(falling, 0.9)
    # Larger models are worse: no number of times is told at all.
    worse = only(tail(rising.assign(score=expit(odds), params=rising["params"].to_numpy()[::-1])))
    assert "10^300" not in sentence(worse, 0.9)
    # All are right: any price is possible, and none is told.
    assert "of any size" in sentence(only(tail(table_of_bins(score=1.0))), 0.9)


def test_huge_counts_and_sizes_are_written_short() -> None:
    found = tail(
        table_of_bins(count=np.tile([1.0, 1e12, 1e18, 1e300], 4), params=np.repeat([1e290, 1e291, 1e292, 1e293], 4))
    )
    assert [one.name for one in only(found).models] == ["1e290", "1e291", "1e292", "1e293"]


@pytest.mark.parametrize("score", [np.linspace(5, 90, 16), np.r_[np.inf, np.linspace(5, 90, 15)]])
def test_scores_of_answers_have_bounds_whatever_a_column_says(score: np.ndarray) -> None:
    with pytest.raises(TableError, match="`unit` says that scores have no bounds"):
        tail(table_of_bins(unit="raw", score=score))
    with pytest.raises(TableError, match="lie outside their bounds"):
        tail(table_of_bins(unit="raw", score=score), unit="fraction")


def test_levels_that_cannot_be_are_told_in_words_that_read_in_python() -> None:
    for options in ({"chance": 25.0}, {"ceiling": 90.0}):
        with pytest.raises(ForetokenError, match=f"^{next(iter(options))}: not a share"):
            tail(table_of_bins(), **options)  # type: ignore[arg-type]


def test_rows_of_hard_questions_are_not_taken_for_fractions_where_their_table_is_in_percent() -> None:
    percent = table_of_bins(n=3000, score=[*np.geomspace(0.1, 0.9, 4), *np.geomspace(1.5, 80, 12)])
    with pytest.raises(TableError, match="those of the whole table are in percent"):
        tail(percent, where="params<2e7")
    found = tail(percent, where="params<2e7", unit="percent")
    assert found.tasks[0].models[0].bins[-1].accuracy == pytest.approx(0.009)
    whole = table_of_bins()
    assert tail(whole, where="params<2e7").tasks[0].models[0].bins[0].accuracy == pytest.approx(0.05)
