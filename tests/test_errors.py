from __future__ import annotations

import inspect

from foretoken import errors


def test_the_docstring_draws_the_whole_tree() -> None:
    classes = [c for _, c in inspect.getmembers(errors, inspect.isclass) if c.__module__ == errors.__name__]
    assert all(issubclass(c, errors.ForetokenError) and c.__name__ in (errors.__doc__ or "") for c in classes)


def test_an_error_says_expected_got_and_cure() -> None:
    error = errors.ForetokenError("no", expected="a", got="b", cure="c")
    assert str(error).split("\n") == ["no", "  expected: a", "  got: b", "  cure: c"]


def test_a_refusal_carries_its_code() -> None:
    refusal = errors.RefusedError("one_size", "all runs have 1e6 parameters", "train another size")
    assert refusal.code == "one_size"
    assert "one_size" in str(refusal)
    assert "another size" in str(refusal)
