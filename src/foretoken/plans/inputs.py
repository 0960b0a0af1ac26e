"""A plan request in numbers and objects: files are read, texts become quantities, the budget becomes FLOP."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from foretoken.arguments import check_level
from foretoken.compute.accelerator_file import read_accelerators
from foretoken.compute.budget import Budget, needs_machine
from foretoken.compute.families import FAMILIES
from foretoken.compute.machine import Machine
from foretoken.compute.price import training_hours
from foretoken.compute.proportions import Proportions
from foretoken.errors import ForetokenError
from foretoken.fits.objectives import check_estimator
from foretoken.fits.result import as_fit
from foretoken.plans.constraints import SIZES, Given, Limits, usable_flops
from foretoken.plans.experts import Experts
from foretoken.plans.given_size import solve_split
from foretoken.plans.lifetime import Demand
from foretoken.plans.loss_model import LossModel, fitted, published
from foretoken.plans.machines import (
    USUAL_MACHINE,
    Count,
    Machines,
    holding_count,
    require_in_time,
    usual_count,
    whole_number,
)
from foretoken.plans.repetition import with_unique
from foretoken.plans.request import PlanRequest
from foretoken.units import parse_count, parse_flops, parse_hours, parse_tokens

if TYPE_CHECKING:
    from foretoken.abilities.table import ScoreTable

MFU_ROUNDS = 3
"""Times a budget is read at the MFU of the size that it buys: that MFU has three values, so it settles at once."""
DEADLINE, UNIQUE = "the deadline", "unique tokens"
"""How a limit that comes from the deadline begins."""


@dataclass(frozen=True, kw_only=True)
class PlanInputs:
    """Everything that a plan is computed from."""

    loss_model: LossModel
    given: Given
    training: Machine
    serving: Machine
    count: float
    """Accelerators side by side."""
    count_is_fixed: bool
    """Nobody may take more of them."""
    proportions: Proportions
    tolerance: float
    reference_size: float | None = None
    demand: Demand | None = None
    serving_batch: int
    experts: Experts | None = None
    deadline_hours: float = math.inf
    """Of the layout; infinite where the MFU was given, which is then believed."""
    assumed: tuple[str, ...] = ()
    binding: tuple[str, ...] = ()
    scores: ScoreTable | None = None
    """A table of scores of smaller runs."""
    tasks: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What is left of the budget after the ladder and before the deadline, and the machines that spend it."""

    given: Given
    training: Machine
    count: float
    assumed: tuple[str, ...]


def read_inputs(request: PlanRequest) -> PlanInputs:
    """The inputs of a plan; reads the file of accelerators and the fit.

    Raises ForetokenError for a text that is no quantity, and for limits that nothing meets.
    """
    machines = read_machines(request)
    experts = _experts(request)
    proportions = Proportions(
        vocabulary=request.vocabulary,
        context=request.context,
        family=request.family,
        experts=0 if experts is None else experts.experts,
        active_experts=0 if experts is None else experts.active,
    )
    loss_model = read_loss_model(request, experts)
    # The MFU depends on the size, the size on the budget, and the budget in hours or dollars on the MFU: a fixed point.
    given, budget = _at_its_own_mfu(loss_model, _given(request, machines, experts), machines)
    resources = _resources(request, loss_model, given, budget, machines, experts)
    return PlanInputs(
        loss_model=loss_model,
        given=resources.given,
        training=resources.training,
        serving=machines.served_on(resources.training),
        count=resources.count,
        count_is_fixed=machines.count is not None or bool(budget and budget.count),
        proportions=proportions,
        tolerance=request.tolerance,
        reference_size=_count(request.reference_size, "reference_size"),
        demand=_demand(request),
        serving_batch=request.serve_batch,
        experts=experts,
        deadline_hours=math.inf if machines.mfu is not None else _deadline(request),
        assumed=resources.assumed,
        binding=tuple(text for text in resources.assumed if text.startswith(DEADLINE)),
        scores=_score_table(request),
        tasks=tuple(request.tasks.split(",") if isinstance(request.tasks, str) else request.tasks),
    )


def _score_table(request: PlanRequest) -> ScoreTable | None:
    """The table of scores of smaller runs; None where none was given."""
    if request.scores is None:
        if request.rename or request.where:
            got = "--map" if request.rename else "--where"
            cure = "give the table, --scores TABLE, or leave it out"
            raise ForetokenError("a plan reads columns and rows of its table of scores alone", got=got, cure=cure)
        return None
    from foretoken.abilities.table import read_scores  # a plan without scores must not wait for it

    return read_scores(request.scores, request.rename, request.where)


def read_machines(request: PlanRequest) -> Machines:
    """The machines of a request; reads the file of accelerators where one is named."""
    return Machines(
        known=read_accelerators(request.accelerators) if request.accelerators else read_accelerators(),
        accelerator=request.accelerator,
        count=whole_number(request.count),
        mfu=request.mfu,
        usd_per_hour=request.usd_per_hour,
        watts=request.watts,
        pue=request.pue,
        kg_co2e_per_kwh=request.grid,
        precision=request.precision,
        serve_accelerator=request.serve_accelerator,
    )


def read_loss_model(request: PlanRequest, experts: Experts | None) -> LossModel:
    """Where losses come from, at these experts and with few distinct tokens; reads the file of a fit."""
    loss_model = _law_or_fit(request)
    if request.law is not None and not FAMILIES[request.family].causal_decoder:
        raise ForetokenError(
            "the published laws are of decoders",
            got=f"family {request.family}",
            cure="fit runs of your own family: foretoken fit TABLE -o fit.json, then --fit fit.json",
        )
    if experts is not None:
        loss_model = experts.read_by(loss_model)
    if request.unique is None:
        return loss_model
    distinct, by_bytes = parse_tokens(request.unique, UNIQUE)
    scarce = with_unique(loss_model, distinct)
    return replace(scarce, assumed=(*scarce.assumed, by_bytes)) if by_bytes else scarce


def _law_or_fit(request: PlanRequest) -> LossModel:
    law, fit = request.law, request.fit
    if (law is None) == (fit is None):
        raise ForetokenError(
            "a plan takes its losses from a published law or from your fit",
            expected="one of two: --law, or --fit",
            got="both" if law else "neither",
            cure="for example --law besiroglu_2024, or: foretoken fit runs.csv -o fit.json, then --fit fit.json",
        )
    check_level(request.level)
    if law is not None:
        check_estimator(request.estimator)
        return replace(published(law), level=request.level)
    assert fit is not None
    return fitted(as_fit(fit), estimator=request.estimator, level=request.level)


def _count(value: Count, what: str) -> float | None:
    return None if value is None else parse_count(value, what)


def _deadline(request: PlanRequest) -> float:
    return math.inf if request.deadline is None else parse_hours(request.deadline, DEADLINE)


def _experts(request: PlanRequest) -> Experts | None:
    if request.experts is None and request.active != 1:
        raise ForetokenError("active experts without experts", got=f"{request.active}", cure="give also --experts")
    return None if request.experts is None else Experts(request.experts, request.active)


def _given(request: PlanRequest, machines: Machines, experts: Experts | None) -> Given:
    """What is given, in numbers; a budget in machines or money by the MFU of a large model, to begin with."""
    return Given(
        flops=None if request.compute is None else machines.budget(request.compute, 1e9).flops,
        loss=request.loss,
        params=_count(request.params, "params"),
        tokens=_count(request.tokens, "tokens"),
        limits=_limits(request, machines, experts),
        budget=request.compute,
    )


def _limits(request: PlanRequest, machines: Machines, experts: Experts | None) -> Limits:
    """What bounds size and tokens."""
    total_per_param = 1.0 if experts is None else experts.total_per_active
    largest = _count(request.max_params, "the largest size") or SIZES[1]
    in_all = _count(request.max_total, "the most parameters in all") or math.inf
    served = machines.largest_served(request.latency, request.serve_on, total_per_param)
    return Limits(
        max_params=min(largest, in_all / total_per_param, served),
        max_tokens=min(_count(request.max_tokens, "most tokens") or math.inf, _tokens_of_epochs(request)),
        sizes=tuple(parse_count(size, "size") for size in request.sizes),
    )


def _tokens_of_epochs(request: PlanRequest) -> float:
    """Tokens that `max_epochs` allows."""
    if request.max_epochs is None:
        return math.inf
    if request.unique is None or not request.max_epochs >= 1:
        raise ForetokenError(
            "the most epochs are at least 1, of a number of distinct tokens",
            got=f"{request.max_epochs:g} epochs of {request.unique or 'an unknown number of'} distinct tokens",
            cure="for example --unique 1e12 --max-epochs 1",
        )
    return request.max_epochs * parse_tokens(request.unique, UNIQUE)[0]


def _demand(request: PlanRequest) -> Demand | None:
    """Tokens over the model's life."""
    read, written = _count(request.serve, "tokens served"), _count(request.write, "tokens served")
    return None if read is None and written is None else Demand(read or 0.0, written or 0.0)


def _at_its_own_mfu(loss_model: LossModel, given: Given, machines: Machines) -> tuple[Given, Budget | None]:
    """A budget in machines or money, at the MFU that is typical of the size it buys."""
    if given.budget is None:
        return given, None
    for _ in range(MFU_ROUNDS):
        budget = machines.budget(given.budget, solve_split(loss_model.point_estimate, given).params)
        if math.isclose(budget.flops, given.flops or 0.0, rel_tol=1e-9):
            break
        given = replace(given, flops=budget.flops)
    return given, budget


def _resources(
    request: PlanRequest,
    loss_model: LossModel,
    given: Given,
    budget: Budget | None,
    machines: Machines,
    experts: Experts | None,
) -> Resources:
    """The machine, how many of them, and what the ladder and the deadline leave of the budget."""
    # The size comes first: MFU, the usual number of machines and what they must hold depend on it.
    size = solve_split(loss_model.point_estimate, given)
    name = machines.accelerator
    # Dollars that name no machine were spent on the usual one; that is an assumption, not what the user named.
    if name is None and budget and budget.machine and not needs_machine(budget.text):
        name = budget.machine.accelerator.id
    training = machines.trained_on(name or USUAL_MACHINE, size.params)
    assumed = [] if name else [f"costs are those of {USUAL_MACHINE} accelerators"]
    count = (budget.count if budget else None) or machines.count
    if count is None:
        if request.deadline is not None:
            raise ForetokenError(
                "a deadline needs a number of accelerators", cure="give --count, or write 512 H100 ..."
            )
        in_all = size.params * (experts.total_per_active if experts else 1.0)
        count = max(usual_count(training_hours(training, size.flops)), holding_count(in_all, training))
        assumed.append(f"{count:g} accelerators side by side, so that they hold the model and take at most 30 days")
    given, spent = _after_ladder_and_deadline(request, given, size.flops, count * training.flops_per_hour)
    return Resources(given=given, training=training, count=count, assumed=(*assumed, *spent))


def _after_ladder_and_deadline(
    request: PlanRequest, given: Given, flops: float, flops_per_hour: float
) -> tuple[Given, list[str]]:
    """What is given, with what is left of a budget, and what was taken from it; `flops` is what the run spends."""
    hours = _deadline(request)
    spent = 0.0 if request.ladder is None else parse_flops(request.ladder, "the ladder")
    if given.flops is None:
        if spent:
            raise ForetokenError("a ladder is paid out of a budget", got="no budget", cure="give also --compute")
        require_in_time(flops, flops_per_hour, hours)
    elif spent or request.deadline:
        left, reasons = usable_flops(
            given.flops, ladder_flops=spent, hours=hours, flops_per_second=flops_per_hour / 3600
        )
        return replace(given, flops=left), reasons
    return given, []
