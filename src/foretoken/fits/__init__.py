"""RunTable + Law -> Fit: estimates with all their doubts, other routes beside them, and the doctor for tables."""

from foretoken.fits.approaches import Approaches, approaches
from foretoken.fits.conventions import Conventions, conventions
from foretoken.fits.doctor import Diagnosis, diagnose
from foretoken.fits.fit import fit
from foretoken.fits.isoflop import isoflop
from foretoken.fits.result import Check, Fit, IsoflopBudget, IsoflopFit, Residual

__all__ = [
    "Approaches",
    "Check",
    "Conventions",
    "Diagnosis",
    "Fit",
    "IsoflopBudget",
    "IsoflopFit",
    "Residual",
    "approaches",
    "conventions",
    "diagnose",
    "fit",
    "isoflop",
]
