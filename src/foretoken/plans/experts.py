"""Mixtures of experts: how many, at equal compute or at equal memory, by a law that reads the number of experts.

Law: Ludziejewski et al. 2025, arXiv 2502.05172, where N is the parameters that one token uses.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from foretoken.arguments import check_positive
from foretoken.errors import ForetokenError
from foretoken.plans.constraints import NO_LIMITS, Limits
from foretoken.plans.loss_model import LossModel, published
from foretoken.plans.split import Allocation, allocate

LAW = "ludziejewski_2025"
COUNTS = (1, 2, 4, 8, 16, 32)
"""Those of its runs."""
VALIDITY = (
    f"Ludziejewski et al. 2025: {', '.join(map(str, COUNTS))} experts, one of them active, up to 2.7B active and"
    " 5B total parameters"
)
FEED_FORWARD_SHARE = 2 / 3
"""Share of a dense model's parameters that experts replace: 8 of 12 width^2 per layer, embeddings left out."""


@dataclass(frozen=True)
class Experts:
    """Experts in place of every feed-forward: `experts` of them, of which a token passes `active`.

    The active ones together are as wide as the feed-forward of the dense model. Raises ForetokenError for numbers that
    do not go together.

    >>> Experts(8, 2).expansion, round(Experts(8).total_per_active, 2)
    (4.0, 5.67)
    """

    experts: int
    active: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.active <= self.experts:
            raise ForetokenError(
                "a token passes some of the experts",
                expected=f"1 to {self.experts} active experts of {self.experts}",
                got=f"{self.active} of {self.experts}",
            )

    @property
    def expansion(self) -> float:
        """How many feed-forwards the experts are worth in parameters; what the law calls experts."""
        return self.experts / self.active

    @property
    def total_per_active(self) -> float:
        """All parameters over those that a token uses."""
        return total_params(1.0, self.expansion)

    def read_by(self, loss_model: LossModel) -> LossModel:
        """The same loss model at so many experts. Raises ForetokenError for a law that does not read them."""
        if "experts" not in loss_model.law.features:
            raise ForetokenError(
                f"{loss_model.name} says nothing of experts: its law {loss_model.law.name!r} reads"
                f" {', '.join(loss_model.law.features)}",
                expected=f"a law that reads experts: {LAW}, or a fit of joint_experts to your own runs",
                got=f"{self.experts} experts",
                cure=f"--law {LAW}, or leave out --experts",
            )
        meaning = [
            f"N is what a token uses; all parameters are {self.total_per_active:.3g} times that (experts replace "
            "2/3 of a layer)"
        ]
        if self.active > 1:
            meaning.append(
                f"{self.active} of {self.experts} experts are read as 1 of {self.expansion:g} that are {self.active}"
                " times as wide: the law's runs had one active expert; finer ones did a little better (Krajewski et"
                " al. 2024)"
            )
        others = (sentence for sentence in loss_model.assumed if not sentence.startswith("experts = "))
        features = {**loss_model.other_features, "experts": self.expansion}
        ranges = (
            {"experts": (COUNTS[0], COUNTS[-1]), **loss_model.ranges} if loss_model.name == LAW else loss_model.ranges
        )
        return replace(
            loss_model,
            other_features=features,
            ranges=ranges,
            assumed=(*others, f"experts = {self.expansion:g}", *meaning),
        )


@dataclass(frozen=True)
class Mixture:
    """The best split of a budget with so many experts, one of them used by a token."""

    experts: float
    active_params: float
    total_params: float
    tokens: float
    loss: float
    gain: float
    """Loss that it takes off against the best dense model of the same budget and limits."""


@dataclass(frozen=True)
class Mixtures:
    """Experts in a plan: what was asked, and what other numbers of experts would give."""

    experts: int
    active: int
    active_params: float
    """The plan's own."""
    total_params: float
    """Of the recipe's network; by the law's rule where there is no recipe."""
    loss_gain: float
    """Loss that they take off against the best dense model of the same compute and limits."""
    equal_compute: list[Mixture]
    """The best split with each number of experts, for the plan's compute."""
    equal_memory: list[Mixture]
    """The same, with at most `max_total` parameters in all: the memory that the best dense model fills."""
    max_total: float
    validity: str
    """What the law's runs were."""


def total_params(active: float, experts: float, share: float = FEED_FORWARD_SHARE) -> float:
    """All parameters of a mixture of which a token uses `active`, one expert of `experts` among them.

    >>> f"{total_params(3e9, 8):.3g}"
    '1.7e+10'
    """
    # One expert of `experts` is counted in `active` already; each of the others adds the share that it replaces.
    return active * (1 + share * (experts - 1))


def mixtures(
    flops: float,
    *,
    max_total: float | None = None,
    counts: tuple[float, ...] = COUNTS,
    share: float = FEED_FORWARD_SHARE,
    loss_model: LossModel | None = None,
    limits: Limits = NO_LIMITS,
) -> list[Mixture]:
    """The best split of `flops` FLOP for each number of experts: at equal compute, and within `max_total` parameters.

    `max_total` is the memory that all may fill, `limits` bound the active parameters and the tokens; `loss_model`
    reads experts (default: `LAW`). Raises ForetokenError for a number of experts below 1, and for a source that
    does not read them.

    >>> [f"{found.experts}: {found.active_params:.2g} {found.loss:.3f}" for found in mixtures(1e21, counts=(1, 8))]
    ['1: 5.7e+09 2.350', '8: 3.8e+09 2.295']
    >>> at_equal_memory = mixtures(1e21, max_total=5.7e9, counts=(1, 8))
    >>> [f"{found.total_params:.2g} {found.loss:.3f}" for found in at_equal_memory]
    ['5.7e+09 2.350', '5.7e+09 2.326']
    """
    check_positive("compute", flops)
    if min(counts, default=0) < 1:
        raise ForetokenError("the number of experts must be 1 or more", got=repr(counts))
    if max_total is not None:
        check_positive("max_total", max_total)
    best = Experts(1).read_by(loss_model or published(LAW)).point_estimate
    # The dense model comes first, whatever counts are asked: every gain is against it.
    dense, *rest = (_mixture(best, flops, count, share, max_total, limits) for count in (1, *counts))
    return [replace(mixture, gain=dense.loss - mixture.loss) for mixture in rest]


def _mixture(
    loss_model: LossModel, flops: float, experts: float, share: float, max_total: float | None, limits: Limits
) -> Mixture:
    if max_total is not None:
        # All parameters are proportional to the active ones, so a cap on all is a cap on these.
        room = max_total / total_params(1.0, experts, share)
        limits = replace(limits, max_params=min(limits.max_params, room))
    best = allocate(
        replace(loss_model, other_features={**loss_model.other_features, "experts": float(experts)}), flops, limits
    )
    assert best.loss is not None
    return Mixture(experts, best.params, total_params(best.params, experts, share), best.tokens, best.loss, 0.0)


def compare_experts(
    loss_model: LossModel, experts: Experts, split: Allocation, total: float, limits: Limits
) -> Mixtures:
    """The plan's split with its experts, `total` parameters in all, beside other numbers of experts."""
    assert split.loss is not None
    counts = tuple(sorted({*map(float, COUNTS), experts.expansion}))
    by_compute = mixtures(split.flops, counts=counts, loss_model=loss_model, limits=replace(limits, sizes=()))
    dense = by_compute[0]
    own = Mixture(experts.expansion, split.params, total, split.tokens, split.loss, dense.loss - split.loss)
    # The plan's limits bound active parameters; here the memory of the dense model bounds all, and nothing else does.
    by_memory = mixtures(split.flops, counts=counts, loss_model=loss_model, max_total=dense.total_params)
    return Mixtures(
        experts=experts.experts,
        active=experts.active,
        active_params=split.params,
        total_params=total,
        loss_gain=own.gain,
        equal_compute=[own if mixture.experts == own.experts else mixture for mixture in by_compute],
        equal_memory=by_memory,
        max_total=dense.total_params,
        validity=VALIDITY if loss_model.name == LAW else "your own runs",
    )
