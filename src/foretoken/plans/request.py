"""A plan in people's words: budgets, sizes and machines as texts, one call for all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from foretoken.compute.budget import Budget, needs_machine
from foretoken.compute.families import FAMILIES
from foretoken.compute.machine import Machine
from foretoken.compute.price import training_hours
from foretoken.compute.proportions import Proportions
from foretoken.errors import ForetokenError
from foretoken.fits.check import Check
from foretoken.fits.result import Fit
from foretoken.plans.band import TOLERANCE
from foretoken.plans.constraints import Given, solve_split
from foretoken.plans.experts import Experts
from foretoken.plans.lifecycle_cost import BATCH
from foretoken.plans.lifetime import Demand
from foretoken.plans.limits import SIZES, Limits, usable_flops
from foretoken.plans.loss_model import LossModel, fitted, published
from foretoken.plans.machines import (
    USUAL_MACHINE,
    Count,
    Machines,
    holding_count,
    require_in_time,
    usual_count,
)
from foretoken.plans.plan import Plan, plan
from foretoken.plans.repetition import with_unique
from foretoken.units import parse_count, parse_flops, parse_hours

__all__ = ["Asked", "Machines", "plan_of", "planned"]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Everything that can be said of a plan; texts are quantities in people's units."""

    compute: str | float | None = None
    """5.76e23, "512 H100 for 30 days", "$2M of H100"; a bare number is FLOP."""
    law: str | None = None
    """Losses by a published law, an id of `foretoken laws` ..."""
    fit: Fit | str | Path | None = None
    """... or by your own fit."""
    loss: float | None = None
    params: Count = None
    tokens: Count = None
    machines: Machines = field(default_factory=Machines)
    deadline: str | None = None
    """What the machines can do in this time caps the compute: "30 days"."""
    ladder: Count = None
    """FLOP of small runs, paid first."""
    unique: Count = None
    """Distinct tokens there are."""
    max_epochs: float | None = None
    """Times that each of them may be seen; 1 for no repetition."""
    serve: Count = None
    write: Count = None
    """Tokens that the model reads and writes over its life."""
    serve_batch: int = BATCH
    """Requests that it answers at once."""
    experts: int | None = None
    active: int = 1
    """Experts of a mixture, and how many of them a token passes; params is then what a token uses."""
    reference_size: Count = None
    """A size whose regret is wanted."""
    max_params: Count = None
    max_total: Count = None
    """The most parameters that a token uses, and in all (experts)."""
    max_tokens: Count = None
    latency: str | None = None
    """A token is answered within this time: "20 ms"."""
    serve_on: int | None = None
    """Accelerators that must hold the model when it serves."""
    sizes: Sequence[str | float] = ()
    """The only sizes allowed."""
    tolerance: float = TOLERANCE
    level: float = 0.9
    estimator: str = "map"
    proportions: Proportions | None = None
    """What the shape keeps to: family, vocabulary, context, ..."""

    @property
    def mixture(self) -> Experts | None:
        """The experts that were asked for."""
        if self.experts is None and self.active != 1:
            raise ForetokenError("active experts without experts", got=f"{self.active}", cure="give --experts too")
        return None if self.experts is None else Experts(self.experts, self.active)

    @property
    def loss_model(self) -> LossModel:
        """Where losses come from, with experts and few distinct tokens where those were said."""
        found = _source(self.law, self.fit, self.level, self.estimator)
        if self.law is not None and not FAMILIES[self.shaped.family].causal_decoder:
            raise ForetokenError(
                "the published laws are of decoders",
                got=f"family {self.shaped.family}",
                cure="fit runs of your own family: foretoken fit TABLE -o fit.json, then --fit fit.json",
            )
        if self.mixture is not None:
            found = self.mixture.read_by(found)
        return found if self.unique is None else with_unique(found, parse_count(self.unique, "unique tokens"))

    @property
    def shaped(self) -> Proportions:
        """What the shape keeps to, with the experts."""
        like = self.proportions or Proportions()
        return like if self.mixture is None else replace(like, experts=self.experts or 0, active_experts=self.active)

    @property
    def limits(self) -> Limits:
        """What bounds size and tokens."""
        most = SIZES[1] if self.max_params is None else parse_count(self.max_params, "the largest size")
        room = 1.0 if self.mixture is None else self.mixture.total_per_active
        in_all = (
            math.inf if self.max_total is None else parse_count(self.max_total, "the most parameters in all") / room
        )
        return Limits(
            max_params=min(most, in_all, self.machines.servable(self.latency, self.serve_on, room)),
            max_tokens=min(
                math.inf if self.max_tokens is None else parse_count(self.max_tokens, "most tokens"), self._epochs()
            ),
            sizes=tuple(parse_count(size, "size") for size in self.sizes),
        )

    def _epochs(self) -> float:
        """Tokens that `max_epochs` allows."""
        if self.max_epochs is None:
            return math.inf
        if self.unique is None or not self.max_epochs >= 1:
            raise ForetokenError(
                "the most epochs are at least 1, of a number of distinct tokens",
                got=f"{self.max_epochs:g} epochs of {self.unique or 'an unknown number of'} distinct tokens",
                cure="for example --unique 1e12 --max-epochs 1",
            )
        return self.max_epochs * parse_count(self.unique, "unique tokens")

    @property
    def given(self) -> Given:
        """What is given, in numbers; a budget in machines or money by the MFU of a large model."""
        return Given(
            flops=None if self.compute is None else self.machines.budget(self.compute, 1e9).flops,
            loss=self.loss,
            params=None if self.params is None else parse_count(self.params, "params"),
            tokens=None if self.tokens is None else parse_count(self.tokens, "tokens"),
            limits=self.limits,
            text="" if self.compute is None else str(self.compute),
        )

    @property
    def demand(self) -> Demand | None:
        """Tokens over the model's life."""
        if self.serve is None and self.write is None:
            return None
        read, written = (0.0 if one is None else parse_count(one, "tokens served") for one in (self.serve, self.write))
        return Demand(read, written)


def plan_of(compute: str | float | None = None, **asked: object) -> Plan:
    """The plan for a budget, or for a loss, a size or a number of tokens; `asked` are fields of `Asked`.

    Raises ForetokenError where a text is no quantity or nothing meets the given.

    >>> found = plan_of("5.76e23", law="besiroglu_2024")
    >>> round(found.tokens / found.params, 1)
    18.4
    """
    return planned(compute, **asked)[0]


def planned(compute: str | float | None = None, **asked: object) -> tuple[Plan, LossModel]:
    """As `plan_of`, with the source of its losses, which the page of a plan draws.

    >>> found, losses = planned("5.76e23", law="besiroglu_2024")
    >>> abs(float(losses.loss(found.params, found.tokens)) - found.loss) < 1e-9
    True
    """
    told = Asked(compute=compute, **asked)  # type: ignore[arg-type]
    loss_model = told.loss_model
    given, budget = _at_its_own_mfu(loss_model, told.given, told)
    given, used, count, said = _within(loss_model, given, budget, told)
    count_is_fixed = told.machines.count is not None or bool(budget and budget.count)
    found = plan(
        loss_model,
        given,
        used,
        count=count,
        tolerance=told.tolerance,
        proportions=told.shaped,
        count_is_fixed=count_is_fixed,
        reference_size=None if told.reference_size is None else parse_count(told.reference_size, "reference_size"),
        demand=told.demand,
        serving=told.machines.serving(used),
        serving_batch=told.serve_batch,
        experts=told.mixture,
    )
    late = [text for text in said if text.startswith("the deadline")]
    found = replace(found, assumed=[*found.assumed, *said], binding=[*found.binding, *late])
    return _in_time(found, told), loss_model


def _source(law: str | None, fit: Fit | str | Path | None, level: float, estimator: str) -> LossModel:
    if (law is None) == (fit is None):
        raise ForetokenError(
            "a plan takes its losses from a published law or from your fit",
            expected="one of --law and --fit",
            got="both" if law else "neither",
            cure="for example --law besiroglu_2024, or: foretoken fit runs.csv -o fit.json, then --fit fit.json",
        )
    if not 0 < level < 1:
        raise ForetokenError("the level of an interval lies between 0 and 1", got=repr(level), cure="use 0.9")
    if law is not None:
        return replace(published(law), level=level)
    return fitted(fit if isinstance(fit, Fit) else Fit.load(str(fit)), estimator=estimator, level=level)


def _at_its_own_mfu(loss_model: LossModel, given: Given, told: Asked) -> tuple[Given, Budget | None]:
    """A budget in machines or money, at the MFU that is typical of the size it buys."""
    if told.compute is None:
        return given, None
    for _ in range(3):
        budget = told.machines.budget(told.compute, solve_split(loss_model.point_estimate, given).params)
        if math.isclose(budget.flops, given.flops or 0.0, rel_tol=1e-9):
            break
        given = replace(given, flops=budget.flops)
    return given, budget


def _within(
    loss_model: LossModel, given: Given, budget: Budget | None, told: Asked
) -> tuple[Given, Machine, float, list[str]]:
    """What is left of the budget after the ladder and before the deadline, the machine, how many, and what was said."""
    size = solve_split(loss_model.point_estimate, given)
    named = told.machines.accelerator
    if named is None and budget and budget.machine and not needs_machine(budget.text):
        named = budget.machine.accelerator.id
    used = told.machines.reckoned(named or USUAL_MACHINE, size.params)
    said = [] if named else [f"costs are those of {USUAL_MACHINE} accelerators"]
    count = (budget.count if budget else None) or told.machines.number
    if count is None:
        if told.deadline is not None:
            raise ForetokenError(
                "a deadline needs a number of accelerators", cure="give --count, or write 512 H100 ..."
            )
        in_all = size.params * (told.mixture.total_per_active if told.mixture else 1.0)
        count = max(usual_count(training_hours(used, size.flops)), holding_count(in_all, used))
        said.append(f"{count:g} accelerators side by side, so that they hold the model and take at most 30 days")
    hours = math.inf if told.deadline is None else parse_hours(told.deadline, "the deadline")
    spent = 0.0 if told.ladder is None else parse_flops(told.ladder, "the ladder")
    if given.flops is None:
        if spent:
            raise ForetokenError("a ladder is paid out of a budget", got="no budget", cure="give --compute too")
        require_in_time(size.flops, count * used.flops_per_hour, hours)
    elif spent or told.deadline:
        speed = count * used.flops_per_hour / 3600
        left, binding = usable_flops(given.flops, ladder_flops=spent, hours=hours, flops_per_second=speed)
        given, said = replace(given, flops=left), [*said, *binding]
    return given, used, count, said


def _in_time(found: Plan, told: Asked) -> Plan:
    """The plan, where the layout keeps to the deadline too; an MFU that the user gave is believed.

    A run whose length is fixed cannot be shortened, and is refused; another is marked.
    """
    if told.deadline is None or told.machines.mfu is not None or found.layout is None:
        return found
    hours, needed = parse_hours(told.deadline, "the deadline"), found.layout.hours(found.tokens)
    if needed <= hours:
        return found
    if told.compute is None:
        raise ForetokenError(
            f"no layout meets the deadline: it is missed by a factor {needed / hours:.3g}",
            expected=f"at most {hours:.4g} h",
            got=f"{needed:.4g} h with the fastest, by arithmetic",
            cure="take more accelerators or a smaller run, or give the --mfu that you measured",
        )
    evidence = f"the fastest layout takes {needed:.4g} h by arithmetic, {needed / hours:.3g} times the deadline"
    cure = f"plan with --mfu {found.layout.mfu:.2f}, or with the one that you measured"
    return replace(found, checks=[*found.checks, Check("slow_layout", "doubt", evidence, cure)])
