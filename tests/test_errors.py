from __future__ import annotations

import importlib
import inspect
import sys

import pytest

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


def test_the_words_of_others_are_cut_and_steer_no_terminal() -> None:
    error = errors.ForetokenError("a\x1b[2J" + "b" * 10_000, got="\x9b\u202e\ud800" + "c" * 10_000)
    assert "\\x1b[2J" in str(error)
    assert len(str(error)) < 8_000
    assert all(c.isprintable() or c == "\n" for c in str(error))


def test_a_value_of_any_depth_is_shown_in_few_words() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert len(errors.shown(deep)) < 100
    assert len(errors.shown({"k": "x" * 10_000})) < 400


@pytest.mark.parametrize(
    ("module", "cure"),
    [
        ("torch.nn", "cure: pip install 'foretoken[train]'"),
        ("zstandard", "cure: pip install zstandard, or"),
        ("safetensors.torch", "cure: pip install safetensors, or"),
    ],
)
def test_a_missing_package_is_called_by_its_own_name(module: str, cure: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(errors.MissingExtraError) as refused, errors.needing("reading"):
        importlib.import_module(module)
    assert f"reading needs the package {module.partition('.')[0]!r}" in str(refused.value)
    assert cure in str(refused.value)


def test_a_module_of_ours_that_is_missing_is_no_extra() -> None:
    with pytest.raises(ModuleNotFoundError), errors.needing("reading"):
        importlib.import_module("foretoken.nothing")


def test_a_public_name_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    import foretoken as ft

    monkeypatch.setattr("foretoken.import_module", lambda name: importlib.import_module("no_such_package"))
    with pytest.raises(errors.MissingExtraError, match=r"foretoken\.sample needs the package 'no_such_package'"):
        ft.sample  # noqa: B018
