"""From a budget to a decision: what to train, what it costs, and what each other choice would lose.

Public names are imported when they are first used: the command line reads the fields of `PlanRequest` without numpy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foretoken.plans.advice import Comparison, compare
    from foretoken.plans.compute_trends import Trends, trends
    from foretoken.plans.planning import plan, plan_with_losses
    from foretoken.plans.request import PlanRequest
    from foretoken.plans.result import Plan

PUBLIC = {
    "Comparison": "foretoken.plans.advice",
    "compare": "foretoken.plans.advice",
    "Plan": "foretoken.plans.result",
    "plan": "foretoken.plans.planning",
    "plan_with_losses": "foretoken.plans.planning",
    "PlanRequest": "foretoken.plans.request",
    "Trends": "foretoken.plans.compute_trends",
    "trends": "foretoken.plans.compute_trends",
}
"""Where each public name lives."""

__all__ = ["Comparison", "Plan", "PlanRequest", "Trends", "compare", "plan", "plan_with_losses", "trends"]


def __getattr__(name: str) -> Any:
    if name in PUBLIC:
        return getattr(import_module(PUBLIC[name]), name)
    raise AttributeError(f"module 'foretoken.plans' has no attribute {name!r}")
