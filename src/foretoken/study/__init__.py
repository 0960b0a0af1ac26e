"""A whole study from one file: run it, look at it, keep its folder in order."""

from foretoken.study.maintenance import prune, verify
from foretoken.study.preview import design, dry_run, profile
from foretoken.study.results import report
from foretoken.study.runner import run, study_folder
from foretoken.study.study_status import StudyStatus, status

__all__ = [
    "StudyStatus",
    "design",
    "dry_run",
    "profile",
    "prune",
    "report",
    "run",
    "status",
    "study_folder",
    "verify",
]
