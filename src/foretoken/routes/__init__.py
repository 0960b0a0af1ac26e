"""RunTable -> N*(C), the best size at each budget, by every published method."""

from foretoken.routes.approaches import Approaches, approaches
from foretoken.routes.isoflop import isoflop

__all__ = ["Approaches", "approaches", "isoflop"]
