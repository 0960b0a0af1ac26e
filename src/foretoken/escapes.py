"""Somebody else's text on its way out: one function per medium, so that no name of theirs steers it.

A run's name comes from a table, a check's evidence from a colleague's fit, a path from a study file. Whatever is
printed, put into a page, or written as TOML, CSV or a line for a shell passes the function of that medium here.
"""

from __future__ import annotations

import json
import re
import shlex
import unicodedata
from html import escape


def for_terminal(text: str) -> str:
    r"""Lines for a terminal or a log: control characters, C1 and marks of direction are shown, not sent.

    >>> print(for_terminal("a\x1b[2J\u202eb"))
    a\x1b[2J\u202eb
    """
    return text if text.isprintable() else "".join(map(_shown, text))


def in_one_line(text: str) -> str:
    r"""A part of a line, such as a name: line ends are shown, too, so that it cannot pretend to be the next line.

    >>> print(in_one_line("r1\nforecast: 1.0"))
    r1\nforecast: 1.0
    """
    return for_terminal(text) if text.isprintable() else for_terminal(text).replace("\n", "\\n").replace("\t", "\\t")


SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
"""What colours text, moves the cursor or sets a title: ECMA-48, control sequences of 7 bits (section 5.4)."""


def without_colours(text: str) -> str:
    r"""The output of a program as it reads: its sequences for the terminal are gone, other controls are shown.

    >>> print(without_colours("\x1b[31mstep: 1\x1b[0m\x07"))
    step: 1\x07
    """
    return for_terminal(SEQUENCE.sub("", text))


STEERING = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Categories of Unicode: controls, marks of format (of direction among them), halves of a pair, line separators."""
HARMLESS = "\n\t\u200c\u200d"
"""Of these: ends of lines and tabs, and what joins letters of Persian, Hindi, ... or emoji."""


def _shown(character: str) -> str:
    steers = unicodedata.category(character) in STEERING and character not in HARMLESS
    return character.encode("unicode_escape").decode() if steers else character


def for_html(text: str) -> str:
    r"""Text or the value of an attribute in a page.

    >>> print(for_html('<b>"a"\u202e'))
    &lt;b&gt;&quot;a&quot;\u202e
    """
    return escape(for_terminal(text))


def for_toml(text: str) -> str:
    r"""A string of TOML, with its quotes.

    >>> print(for_toml('C:\\texts\n"x"'))
    "C:\\texts\n\"x\""
    """
    # TOML's basic strings escape as JSON does; of what JSON leaves as it is, TOML forbids DEL alone.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def for_shell(*words: str) -> str:
    """Words of a command line, each between quotes where a shell would read more than text.

    >>> print(for_shell("--where", "run!=a; rm -r .", "--map", "loss=val_loss"))
    --where 'run!=a; rm -r .' --map loss=val_loss
    """
    return shlex.join(words)


def command(*words: object) -> str:
    """A command of ours as it can be pasted into a shell.

    >>> command("run", "my study.toml")
    "foretoken run 'my study.toml'"
    """
    return for_shell("foretoken", *map(str, words))


FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet runs."""


def for_csv(cell: object) -> object:
    """A cell of a CSV: text that a spreadsheet would run as a formula begins with an apostrophe; all else as it is.

    Source: OWASP, CSV injection.

    >>> for_csv("=1+1"), for_csv("-0.5"), for_csv(-0.5), for_csv("r1")
    ("'=1+1", '-0.5', -0.5, 'r1')
    """
    if not isinstance(cell, str) or not cell.startswith(FORMULA):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell
