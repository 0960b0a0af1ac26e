"""RunTable + Law -> Fit: estimates with all their doubts."""

from foretoken.fits.fit import fit
from foretoken.fits.result import Check, Fit, IsoflopBudget, IsoflopFit, Residual

__all__ = ["Check", "Fit", "IsoflopBudget", "IsoflopFit", "Residual", "fit"]
