"""Two recipes -> which of them wins at a compute; many recipes -> how well a small size ranks them."""

from foretoken.decisions.accuracy import Decisions, decision_accuracy
from foretoken.decisions.result import Versus
from foretoken.decisions.versus import versus

__all__ = ["Decisions", "Versus", "decision_accuracy", "versus"]
