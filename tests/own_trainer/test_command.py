"""Commands with fields: split as a shell would, filled in without one, and refused before anything starts."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretoken.escapes import for_shell
from foretoken.runs.command import check_names, fill, names, words

VALUES = {"width": 256, "layers": 4, "tokens": 1_000_000, "batch_tokens": 4096, "learning_rate": 3e-3, "group": "a b"}


@pytest.mark.parametrize(
    ("command", "filled"),
    [
        ("train --dim {width}", ["train", "--dim", "256"]),
        ("train --ffn {width * 8 // 3}", ["train", "--ffn", "682"]),
        ("train --lr={learning_rate:.2e}", ["train", "--lr=3.00e-03"]),
        ("train --steps {ceil(tokens / batch_tokens)}", ["train", "--steps", "245"]),
        ("train '{group}' {group} x{group}y", ["train", "a b", "a b", "xa by"]),
        ("train --json '{{\"dim\": {width}}}'", ["train", "--json", '{"dim": 256}']),
        ("train {tokens:,d} {min(width, layers)} {-layers}", ["train", "1,000,000", "4", "-4"]),
        ("train ''", ["train", ""]),
    ],
)
def test_a_command_is_filled_in(command: str, filled: list[str]) -> None:
    assert fill(command, VALUES) == filled


def test_a_field_of_its_own_may_be_several_words_or_none() -> None:
    command = "train {resume} --out x{width}"
    assert fill(command, VALUES, {"resume": ["--resume", "last one.pt"]}) == [
        "train",
        "--resume",
        "last one.pt",
        "--out",
        "x256",
    ]
    assert fill(command, VALUES, {"resume": []}) == ["train", "--out", "x256"]


@pytest.mark.parametrize(
    "command",
    [
        "train {__import__('os').system('x')}",
        "train {width.__class__}",
        "train {(lambda: 1)()}",
        "train {[width]}",
        "train {width if layers else 1}",
        "train {width!r}",
        "train {width:>99999999}",
        "train {width:{layers}}",
        "train {",
        "train }",
        "train 'half",
        "train {}",
        "train {open('x')}",
        "train {'text'}",
        "train {1e400}",
        "train \0",
        "   ",
        "train {" + "(" * 90 + "width" + ")" * 90 + "+" * 90 + "}",
    ],
)
def test_what_is_no_command_is_refused(command: str) -> None:
    with pytest.raises(ValueError, match="`command`"):
        check_names(command, list(VALUES))


@pytest.mark.parametrize(
    "command", ["{tokens // (width - 256)}", "{tokens ** 999}", "{group * 2}", "{width:d}{group:d}", "{heads}"]
)
def test_a_field_without_a_value_is_refused(command: str) -> None:
    with pytest.raises(ValueError, match="has no value"):
        fill(command, VALUES)


def test_an_unknown_field_is_told_with_the_near_one() -> None:
    with pytest.raises(ValueError, match=r"unknown field \{widht\}; did you mean 'width'\?"):
        check_names("train {widht}", list(VALUES))


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40))
def test_a_value_is_one_word_whatever_is_in_it(value: str) -> None:
    filled = fill("train {group} --x={group}", {"group": value})
    assert filled == ["train", value, f"--x={value}"]
    # and so does the line for a shell say
    printed = subprocess.run(["sh", "-c", f"printf '%s\\n' {for_shell(*filled)}"], capture_output=True, check=True)
    if "\n" not in value:
        assert printed.stdout.decode(errors="surrogateescape").split("\n")[:3] == filled


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(command: str) -> None:
    try:
        used = names(command)
    except ValueError:
        return
    assert len(words(command)) >= 0
    assert all(name.isidentifier() for name in used)
