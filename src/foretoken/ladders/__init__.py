"""Fit or published law + budget -> the small runs that are worth most before the big one.

Public names are imported when they are first used: the command line reads the fields of `NextRunRequest` without numpy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foretoken.ladders.ladder import NextRun, next_run
    from foretoken.ladders.request import NextRunRequest

PUBLIC = {
    "NextRun": "foretoken.ladders.ladder",
    "next_run": "foretoken.ladders.ladder",
    "NextRunRequest": "foretoken.ladders.request",
}
"""Where each public name lives."""

__all__ = ["NextRun", "NextRunRequest", "next_run"]


def __getattr__(name: str) -> Any:
    if name in PUBLIC:
        return getattr(import_module(PUBLIC[name]), name)
    raise AttributeError(f"module 'foretoken.ladders' has no attribute {name!r}")
