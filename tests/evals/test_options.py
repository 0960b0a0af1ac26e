"""Options of fine-tuning and of continued training: what each refuses, and that the verbs offer them all."""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import Any, get_args

import pytest

from foretoken.arguments import ArgumentNameError
from foretoken.errors import DesignError, TaskError
from foretoken.evals import (
    METRICS,
    ContinueOptions,
    Precision,
    TuningOptions,
    continue_training,
    evaluate,
    finetune,
)
from foretoken.evals.metrics import DEFAULT_METRIC
from foretoken.evals.tasks import KINDS, check_kind


@pytest.mark.parametrize("verb", [finetune, continue_training, evaluate])
def test_a_verb_shows_its_arguments_with_types(verb: Any) -> None:
    parameters = inspect.signature(verb).parameters
    assert "source" in parameters
    assert not [name for name, one in parameters.items() if one.kind in (one.VAR_KEYWORD, one.VAR_POSITIONAL)]
    assert not [name for name, one in parameters.items() if one.annotation is inspect.Parameter.empty]


@pytest.mark.parametrize(("verb", "options"), [(finetune, TuningOptions), (continue_training, ContinueOptions)])
def test_a_verb_takes_every_option_with_the_same_default(verb: Any, options: Any) -> None:
    parameters = inspect.signature(verb).parameters
    assert {field.name: parameters[field.name].default for field in fields(options)} == {
        field.name: field.default for field in fields(options)
    }


@pytest.mark.parametrize(
    ("verb", "wrong", "right"),
    [(finetune, "epoch", "epochs"), (finetune, "fromscratch", "from_scratch"), (evaluate, "contxt", "context")],
)
def test_a_wrong_argument_shows_the_nearest(verb: Any, wrong: str, right: str) -> None:
    with pytest.raises(ArgumentNameError, match=rf"(?s){verb.__name__}\(\).*'{wrong}'.*did you mean '{right}'"):
        verb("mine", "text", **{wrong: 1})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "luck"}, "no such metric"),
        ({"epochs": 0}, "epochs must be"),
        ({"patience": 0}, "patience must be"),
        ({"batch": 0}, "batch must be"),
        ({"learning_rates": ()}, "above 0"),
        ({"learning_rates": (float("nan"),)}, "above 0"),
        ({"learning_rates": (1e-3, float("inf"))}, "above 0"),
        ({"dropout": 1.0}, "shares"),
        ({"warmup": 1.5}, "shares"),
    ],
)
def test_invalid_tuning_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(TaskError, match=rf"{message}(?s:.*)expected: (?s:.*)got: (?s:.*)cure: "):
        TuningOptions(**options)


def test_a_metric_that_is_nearly_right_is_named() -> None:
    with pytest.raises(TaskError, match="did you mean 'exact_match'"):
        TuningOptions(metric="exact")
    for metric in METRICS:
        assert TuningOptions(metric=metric).metric == metric


def test_every_kind_of_task_has_a_metric() -> None:
    assert set(DEFAULT_METRIC) == set(KINDS)
    assert set(DEFAULT_METRIC.values()) <= set(METRICS)
    assert [check_kind(kind) for kind in KINDS] == list(KINDS)
    with pytest.raises(TaskError, match="did you mean 'text-to-text'"):
        check_kind("text_to_text")


@pytest.mark.parametrize("field", fields(ContinueOptions), ids=lambda field: field.name)
def test_an_option_of_another_type_is_named(field: Any) -> None:
    """A truth value is no number, and a number no truth value."""
    wrong = 1 if isinstance(field.default, bool) else True
    for value in (wrong, None, [1]):
        with pytest.raises(DesignError, match=rf"(?s)cannot be used for continued training.*got: {field.name} "):
            ContinueOptions(**{field.name: value})


@pytest.mark.parametrize(
    ("valid", "invalid"),
    [
        ({"learning_rate": 1}, {"learning_rate": 1e4}),
        ({"batch_tokens": 1}, {"batch_tokens": 2**40}),
        ({"warmup_share": 0.7, "cooldown": 0.3}, {"warmup_share": 0.7, "cooldown": 0.4}),
        ({"weight_decay": 0}, {"weight_decay": -1e-9}),
        ({"validation_share": 0.49}, {"validation_share": 0.0}),
        ({"seed": 2**32 - 1}, {"seed": 2**32}),
        ({"threads": 1}, {"threads": -1}),
        *(({"precision": precision}, {"precision": f"{precision}s"}) for precision in get_args(Precision)),
    ],
)
def test_each_range_ends_where_it_says(valid: dict[str, Any], invalid: dict[str, Any]) -> None:
    ContinueOptions(**valid)
    with pytest.raises(DesignError, match="cannot be used for continued training"):
        ContinueOptions(**invalid)
