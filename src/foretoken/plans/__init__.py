"""From a budget to a decision: what to train, what it costs, what else would lose, which small runs come first."""

from foretoken.plans.asking import Asked, Machines
from foretoken.plans.asking import plan_of as plan
from foretoken.plans.compare import Comparison, compare
from foretoken.plans.next_run import NextRun, next_run
from foretoken.plans.plan import Plan
from foretoken.plans.trends import outlook as trends

__all__ = [
    "Asked",
    "Comparison",
    "Machines",
    "NextRun",
    "Plan",
    "compare",
    "next_run",
    "plan",
    "trends",
]
