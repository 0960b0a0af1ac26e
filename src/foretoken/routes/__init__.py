"""RunTable -> N*(C), the best size at each budget, by every published method."""

from foretoken.routes.approaches import Approaches, approaches
from foretoken.routes.isoflop import IsoflopBudget, IsoflopFit, isoflop

__all__ = ["Approaches", "IsoflopBudget", "IsoflopFit", "approaches", "isoflop"]
