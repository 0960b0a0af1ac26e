"""RunTable + Law -> Fit: estimates with all their doubts."""

from foretoken.fits.fit import fit
from foretoken.fits.result import Check, Fit, FittedRun, Range

__all__ = ["Check", "Fit", "FittedRun", "Range", "fit"]
