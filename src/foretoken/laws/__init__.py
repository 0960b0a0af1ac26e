"""Formulas for what training gives: pure functions with parameter names, units, domain and citation.

A new law is one file and one line in `LAWS`. Coefficients that papers published are in `PUBLISHED`.
"""

from foretoken.arguments import nearest
from foretoken.errors import ForetokenError
from foretoken.laws.allocation import ALLOCATION, ALLOCATION_FLOPS_PER_TOKEN, ALLOCATION_STEPS, ALLOCATION_TOKENS
from foretoken.laws.any_table import SIZE_ACCURACY, SIZE_ERROR, SIZE_SCORE, TABLE_ERROR, TABLE_SCORE
from foretoken.laws.batch import BATCH_DATA, BATCH_FLOPS, BATCH_PARAMS, CRITICAL_BATCH
from foretoken.laws.broken import BROKEN_1, BROKEN_2, BROKEN_3
from foretoken.laws.chinchilla import CHINCHILLA
from foretoken.laws.cite import cite
from foretoken.laws.coupled import COUPLED
from foretoken.laws.downstream import ACCURACY_FLOPS, ACCURACY_SIGMOID, ERROR_EXPONENTIAL
from foretoken.laws.fine_grained_experts import FINE_GRAINED_EXPERTS
from foretoken.laws.joint_experts import JOINT_EXPERTS
from foretoken.laws.kaplan import (
    KAPLAN_FLOPS,
    KAPLAN_FLOPS_MIN,
    KAPLAN_JOINT,
    KAPLAN_PARAMS,
    KAPLAN_STEPS,
    KAPLAN_TOKENS,
)
from foretoken.laws.law import FEATURES, Feature, Law
from foretoken.laws.learning_rate import (
    LEARNING_RATE_EXPERTS,
    LEARNING_RATE_FLOPS,
    LEARNING_RATE_LOG_PARAMS,
    LEARNING_RATE_PARAMS,
    LEARNING_RATE_PARAMS_TOKENS,
)
from foretoken.laws.multi_power import MULTI_POWER
from foretoken.laws.overtraining import OVERTRAINING
from foretoken.laws.own import is_formula, own_law
from foretoken.laws.power import POWER
from foretoken.laws.precision import PRECISION, QUANTISATION
from foretoken.laws.published import PUBLISHED, Published
from foretoken.laws.repeated_data import REPEATED_DATA
from foretoken.laws.routing import ROUTING, ROUTING_UNSATURATED
from foretoken.laws.saturating import FRONTIER, SATURATING_FLOPS, SATURATING_PARAMS, SATURATING_TOKENS

LAWS: dict[str, Law] = {
    law.name: law
    for law in (
        # loss from one variable
        POWER,
        KAPLAN_PARAMS,
        KAPLAN_TOKENS,
        KAPLAN_FLOPS,
        KAPLAN_FLOPS_MIN,
        SATURATING_PARAMS,
        SATURATING_TOKENS,
        SATURATING_FLOPS,
        # loss from size and data
        CHINCHILLA,
        COUPLED,
        KAPLAN_JOINT,
        KAPLAN_STEPS,
        OVERTRAINING,
        REPEATED_DATA,
        # loss with experts, with few bits, along a schedule
        ROUTING,
        ROUTING_UNSATURATED,
        FINE_GRAINED_EXPERTS,
        JOINT_EXPERTS,
        PRECISION,
        QUANTISATION,
        MULTI_POWER,
        # what to choose
        ALLOCATION,
        ALLOCATION_TOKENS,
        ALLOCATION_FLOPS_PER_TOKEN,
        ALLOCATION_STEPS,
        LEARNING_RATE_FLOPS,
        LEARNING_RATE_PARAMS,
        LEARNING_RATE_PARAMS_TOKENS,
        LEARNING_RATE_EXPERTS,
        LEARNING_RATE_LOG_PARAMS,
        CRITICAL_BATCH,
        BATCH_FLOPS,
        BATCH_DATA,
        BATCH_PARAMS,
        # scores, and any other table
        ERROR_EXPONENTIAL,
        ACCURACY_SIGMOID,
        ACCURACY_FLOPS,
        BROKEN_1,
        BROKEN_2,
        BROKEN_3,
        SIZE_ERROR,
        SIZE_SCORE,
        SIZE_ACCURACY,
        TABLE_ERROR,
        TABLE_SCORE,
    )
}
"""Every law by its name."""
WEIGHED = "weighed"
"""What fits, forecasts, back-tests and studies take unless told otherwise: several laws, their forecasts averaged."""
FORECAST_LAW = COUPLED.name
"""The heaviest of them; what ladders are drawn from. It holds Chinchilla's form, and has a parameter for how its terms
mix."""
LAW_WEIGHTS = {COUPLED.name: 0.5, CHINCHILLA.name: 0.2, SATURATING_FLOPS.name: 0.3}
"""Weights of the laws in a forecast (docs/backtest.md has the errors of each)."""


def name_of(law: str | Law) -> str:
    """The name by which a law is found again; raises ForetokenError for a law that is not found by its name.

    >>> name_of("power"), name_of(LAWS["power"])
    ('power', 'power')
    """
    if isinstance(law, str):
        return law
    if LAWS.get(law.name) is not law and not is_formula(law.name):
        raise ForetokenError(
            f"the law {law.name!r} is not registered, so that a fit of it could not be read again",
            cure="write it as a formula, foretoken.law(name, formula), or put it into foretoken.LAWS under its name",
            code="unknown_law",
        )
    return law.name


def law_or_heaviest(law: str | Law) -> Law:
    """The law of this name, or the heaviest of those that are weighed; a law itself, as `name_of` takes it.

    >>> law_or_heaviest(WEIGHED).name, law_or_heaviest("power").name
    ('coupled', 'power')
    """
    return find_law(FORECAST_LAW if law == WEIGHED else name_of(law))


def forecasting_laws() -> dict[str, Law]:
    """Laws L(N, D): those that forecast the loss of a run from its size and length alone.

    >>> sorted(forecasting_laws())
    ['chinchilla', 'coupled', 'kaplan_joint', 'overtraining']
    """
    return {
        name: law for name, law in LAWS.items() if set(law.features) == {"params", "tokens"} and law.column == "loss"
    }


def find_law(name: str) -> Law:
    """The law of this name, or of this formula; raises ForetokenError with the names that are near it.

    >>> find_law("E + A / N**a").features
    ('params',)
    """
    if name not in LAWS and is_formula(name):
        return own_law(name)
    if name not in LAWS:
        entry = PUBLISHED.get(name)
        near = [entry.law] if entry else nearest(name, LAWS, most=4)
        raise ForetokenError(
            "unknown law",
            expected=", ".join(near or LAWS),
            got=f"{name!r}, published coefficients of that law" if entry else repr(name),
            cure="take one of these (foretoken laws lists all), or write a formula: E + A / N**a + B / D**b",
            code="unknown_law",
        )
    return LAWS[name]


def near_published(name: str) -> list[str]:
    """The published ids that are spelled most like a name, or that are of the law so called; none is alike: none.

    >>> near_published("besiroglu"), near_published("chinchila")[:2]
    (['besiroglu_2024'], ['hoffmann_2022_tex', 'hoffmann_2022_rounded'])
    """
    laws = nearest(name, LAWS)
    return nearest(name, PUBLISHED, most=4) or [id for id, entry in PUBLISHED.items() if entry.law in laws][:4]


__all__ = [
    "CHINCHILLA",
    "COUPLED",
    "FEATURES",
    "FORECAST_LAW",
    "FRONTIER",
    "LAWS",
    "LAW_WEIGHTS",
    "POWER",
    "PUBLISHED",
    "SATURATING_FLOPS",
    "WEIGHED",
    "Feature",
    "Law",
    "Published",
    "cite",
    "find_law",
    "forecasting_laws",
    "is_formula",
    "law_or_heaviest",
    "name_of",
    "near_published",
]
