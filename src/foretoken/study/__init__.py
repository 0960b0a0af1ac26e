"""A whole study from one file: run it, look at it, keep its folder in order.

Public names are imported when they are first used: what tells the status of a study needs nothing of what runs one.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foretoken.study.maintenance import pause, prune, verify
    from foretoken.study.preview import design, dry_run, profile
    from foretoken.study.results import report
    from foretoken.study.run_study import run
    from foretoken.study.runner import study_folder
    from foretoken.study.study_status import StudyStatus, status

PUBLIC = {
    "design": "foretoken.study.preview",
    "dry_run": "foretoken.study.preview",
    "profile": "foretoken.study.preview",
    "pause": "foretoken.study.maintenance",
    "prune": "foretoken.study.maintenance",
    "report": "foretoken.study.results",
    "run": "foretoken.study.run_study",
    "status": "foretoken.study.study_status",
    "StudyStatus": "foretoken.study.study_status",
    "study_folder": "foretoken.study.runner",
    "verify": "foretoken.study.maintenance",
}
"""Where each public name lives."""

__all__ = [
    "StudyStatus",
    "design",
    "dry_run",
    "pause",
    "profile",
    "prune",
    "report",
    "run",
    "status",
    "study_folder",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name in PUBLIC:
        return getattr(import_module(PUBLIC[name]), name)
    raise AttributeError(f"module 'foretoken.study' has no attribute {name!r}")
