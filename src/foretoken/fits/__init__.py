"""RunTable + Law -> Fit: estimates with all their doubts."""

from foretoken.fits.check import Check
from foretoken.fits.fit import fit
from foretoken.fits.parts import FittedRun, Range
from foretoken.fits.result import Fit

__all__ = ["Check", "Fit", "FittedRun", "Range", "fit"]
