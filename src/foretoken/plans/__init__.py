"""From a budget to a decision: what to train, what it costs, and what each other choice would lose."""

from foretoken.plans.compare import Comparison, compare
from foretoken.plans.compute_trends import outlook as trends
from foretoken.plans.plan import Plan
from foretoken.plans.request import Asked, Machines
from foretoken.plans.request import plan_of as plan

__all__ = ["Asked", "Comparison", "Machines", "Plan", "compare", "plan", "trends"]
