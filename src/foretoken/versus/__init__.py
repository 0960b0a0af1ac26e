"""Two recipes -> which of them wins at a compute; many recipes -> how well a small size ranks them."""

from foretoken.versus.decisions import Decisions, decision_accuracy
from foretoken.versus.result import Versus
from foretoken.versus.versus import versus

__all__ = ["Decisions", "Versus", "decision_accuracy", "versus"]
