"""The whole line from one study file: run it, look at it, keep its folder in order."""

from foretoken.study.maintenance import prune, verify
from foretoken.study.preview import design, profile
from foretoken.study.results import report, status
from foretoken.study.runner import dry_run, run, study_folder

__all__ = ["design", "dry_run", "profile", "prune", "report", "run", "status", "study_folder", "verify"]
