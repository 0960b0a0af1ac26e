from __future__ import annotations

from pathlib import Path

import pytest

from foretoken.designs import Recipe, TokenSource, make_design, tuned
from foretoken.errors import DesignError, StudyFileError
from foretoken.runs.record import RunRecord
from foretoken.runs.study_file import Study, load_study

SOURCE = TokenSource(address="c0ffee", tokenizer="byte", eval_set="v", vocabulary=256, train_tokens=10**7)
LISTED = [
    {"params": "50k", "tokens": "1M"},
    {"params": "50k", "tokens": "2M", "seeds": 2},
    {"params": "100k", "tokens": "1M", "learning_rate_factors": [0.5, 1, 2]},
]


def recipe(*listed: dict[str, object]) -> Recipe:
    study = Study.model_validate({"name": "t", "seed": 7, "design": {"kind": "runs", "runs": list(listed)}})
    return Recipe(study=study, source=SOURCE, torch_version="2.13.0", bfloat16=False)


def test_each_listed_run_is_planned_as_often_as_it_says() -> None:
    plan = recipe(*LISTED)
    design = make_design(plan, 1)
    assert len(design.runs) == 1 + 2 + 3
    assert sorted(run.seed for run in design.runs) == [7] * 5 + [8]
    large = [run for run in design.runs if run.parameters.total > 75_000]
    rule = plan.study.training.learning_rate.at(large[0].parameters.active)
    assert sorted(run.learning_rate / rule for run in large) == pytest.approx([0.5, 1, 2])
    assert sorted(run.tokens / 1e6 for run in design.runs) == pytest.approx([1, 1, 1, 1, 2, 2], rel=0.01)


def test_lengths_of_one_size_are_branches_of_one_trunk() -> None:
    trunks = make_design(recipe(*LISTED), 1).trunks
    assert sorted(len(trunk) for trunk in trunks) == [1, 1, 1, 1, 2]
    assert all(len({run.warmup_tokens for run in trunk}) == 1 for trunk in trunks)


def test_runs_of_equal_flops_are_one_group() -> None:
    groups = {run.group: run.flops for run in make_design(recipe(*LISTED), 1).runs}
    assert 2 <= len(groups) <= 3
    assert len({run.group for run in make_design(recipe(LISTED[2]), 1).runs}) == 1


def test_sizes_that_are_one_network_are_refused() -> None:
    with pytest.raises(DesignError, match="the same run"):
        make_design(recipe({"params": 50_000, "tokens": 1e6}, {"params": 50_001, "tokens": 1e6}), 1)


def test_of_several_learning_rates_the_best_is_kept_and_what_failed_is_counted() -> None:
    runs = make_design(recipe(*LISTED), 1).runs
    rates = sorted({run.learning_rate for run in runs if run.parameters.total > 75_000})
    records = [
        RunRecord(spec=run, status="diverged" if run.learning_rate == rates[2] else "finished",
                  loss=1.0 if run.learning_rate == rates[2] else 3.0 + run.learning_rate)
        for run in runs
    ]  # fmt: skip
    kept = tuned(records)
    assert [one for one in records if one not in kept] == [one for one in records if one.spec.learning_rate == rates[1]]


@pytest.mark.parametrize(
    ("design", "told"),
    [
        ('kind = "runs"', "`runs` is needed"),
        ("runs = [{ params = 1e5, tokens = 1e6 }]", "`runs` is needed"),
        ('kind = "runs"\nruns = [{ params = 1e5, token = 1e6 }]', "did you mean 'tokens'"),
        ('kind = "runs"\nruns = [{ params = 1e5, tokens = 1e6, seeds = 0 }]', "seeds"),
        ('kind = "runs"\nruns = [{ params = 1e5, tokens = 1e6, learning_rate_factors = [1, 1] }]', "equal"),
        ('kind = "runs"\nruns = [{ params = 1e5, tokens = 1e6 }, { params = "100k", tokens = "1M" }]', "twice"),
        (
            'kind = "runs"\nruns = ['
            + ", ".join(f"{{ params = 1e5, tokens = {1000 + k}, seeds = 100 }}" for k in range(101))
            + "]",
            "at most",
        ),
    ],
)
def test_mistakes_in_a_list_are_told(tmp_path: Path, design: str, told: str) -> None:
    path = tmp_path / "study.toml"
    path.write_text(f'name = "t"\n[design]\n{design}\n')
    with pytest.raises(StudyFileError, match=told):
        load_study(path)
