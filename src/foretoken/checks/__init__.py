"""RunTable -> Diagnosis: what is doubtful about a table of runs, with the evidence and the cure."""

from foretoken.checks.conventions import Conventions, conventions
from foretoken.checks.diagnose import Diagnosis, diagnose

__all__ = ["Conventions", "Diagnosis", "conventions", "diagnose"]
