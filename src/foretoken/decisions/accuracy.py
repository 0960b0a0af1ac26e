"""How often a small size orders recipes as the largest does: decision accuracy (Magnusson et al. 2025, DataDecide)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from foretoken.arguments import takes
from foretoken.decisions.recipes import Ladder, RecipesRequest, read_ladder
from foretoken.errors import RefusedError
from foretoken.fits.check import Check, plural
from foretoken.fits.estimate import Sample, estimate_map
from foretoken.fits.ladder_line import ladder_line
from foretoken.laws import CHINCHILLA, SATURATING_FLOPS
from foretoken.laws.law import Array, Law
from foretoken.results import Result, with_reasons_json

DRAWS = 2000
FEW_RECIPES = 6
"""Below so many recipes a share of their pairs says little."""
EDGES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.97, 1.0)
"""Of the probabilities by which decisions are counted."""
FEWEST_SIZES = 3
"""From which a law of each recipe is forecast, and from which the drift between recipes is told."""


@dataclass(frozen=True)
class Accuracy:
    """The share of the pairs of recipes that are ordered as at the target, and its interval (recipes drawn anew)."""

    share: float
    low: float
    high: float
    pairs: int


@dataclass(frozen=True)
class SizeDecisions:
    """What the runs of one size of the ladder, and of those below, say of the target."""

    params: float
    tokens: float
    flops: float
    spent: float
    """FLOP of the runs of this size, all recipes and seeds, over those of the target."""
    spent_below: float
    """The same of this size and all smaller ones, which a law reads."""
    ranking: Accuracy
    """Recipes in the order of this size."""
    says: float | None
    """The mean probability with which the orders of this size were said to be right; None below three sizes."""
    by_law: Accuracy | None
    """Recipes in the order of a law's forecasts from this size and the smaller ones."""
    by_law_reason: str | None


@dataclass(frozen=True)
class ReliabilityBin:
    """Decisions that were said with about one probability."""

    says: float
    right: float
    pairs: int


@dataclass(frozen=True)
class Decisions(Result, rows="sizes"):
    """How well each size of a ladder decides between recipes for the largest."""

    by: str
    recipes: list[str]
    """From the best at the target to the worst."""
    ranked: str
    """The column."""
    better: str
    level: float
    target_params: float
    target_tokens: float
    target_flops: float
    sizes: list[SizeDecisions]
    """From the smallest to the largest below the target."""
    reliability: list[ReliabilityBin]
    """Of all sizes and pairs for which a probability was said."""
    ceiling: float | None
    """The share of pairs that two halves of the target's own seeds order alike; None where there is one seed."""
    checks: list[Check]
    assumed: list[str]

    def to_json(self) -> dict[str, Any]:
        """Plain values; beside every null stands its reason."""
        values = asdict(self)
        few = f"fewer than {FEWEST_SIZES} sizes, which tell how far the order of recipes drifts"
        values["sizes"] = [with_reasons_json(size, says=few) for size in values["sizes"]]
        return with_reasons_json(values, ceiling="one seed of each recipe at the target")


@takes(RecipesRequest)
def decision_accuracy(request: RecipesRequest) -> Decisions:
    """How often each size of a ladder orders the recipes of a table as its largest size does.

    Raises RefusedError for one recipe, recipes without common sizes, or all alike at the largest; TableError for
    columns that are missing.

    >>> import numpy as np, pandas as pd
    >>> size = np.tile([1e7, 1e8, 1e9], 4)
    >>> recipe = np.repeat(["a", "b", "c", "d"], 3)
    >>> loss = 1.7 + 400 / size**0.34 + 0.1 * np.repeat([0.0, 1.0, 2.0, 3.0], 3)
    >>> table = pd.DataFrame({"recipe": recipe, "params": size, "tokens": 20 * size, "loss": loss})
    >>> found = decision_accuracy(table, "recipe")
    >>> found.recipes, [size.ranking.share for size in found.sizes]
    (['a', 'b', 'c', 'd'], [1.0, 1.0])
    """
    ladder = read_ladder(request)
    target = ladder.merit[:, -1]
    known = np.isfinite(target)
    said = [_probabilities(ladder, size) for size in range(len(ladder.flops) - 1)]
    sizes = [_size(ladder, size, said[size], request) for size in range(len(ladder.flops) - 1)]
    if not any(size.ranking.pairs for size in sizes):
        evidence = f"no two recipes differ in {request.ranked!r} at the largest size"
        raise RefusedError(
            "all_alike", evidence, "give the digits that were measured, or rank by another column: --score"
        )
    order = np.argsort(-np.where(known, target, -np.inf), kind="stable")
    return Decisions(
        by=request.by,
        recipes=[ladder.recipes[i] for i in order if known[i]],
        ranked=request.ranked,
        better="higher" if request.higher else "lower",
        level=request.level,
        target_params=float(ladder.params[-1]),
        target_tokens=float(ladder.tokens[-1]),
        target_flops=float(ladder.flops[-1]),
        sizes=[size for size in sizes if size.ranking.pairs],
        reliability=_reliability(ladder, said),
        ceiling=_ceiling(ladder),
        checks=_checks(ladder, int(known.sum())),
        assumed=[*ladder.assumed, "sizes are cells of equal parameters and tokens; seeds of a recipe are averaged"],
    )


def _checks(ladder: Ladder, recipes: int) -> list[Check]:
    checks = []
    if recipes < FEW_RECIPES:
        evidence = f"{plural(recipes, 'recipe')}, {plural(recipes * (recipes - 1) // 2, 'pair')}"
        checks.append(Check("few_recipes", "doubt", evidence, "read the shares with their intervals, or add recipes"))
    if ladder.seeds < 2:
        evidence = "one run of each recipe and size: noise of runs is a part of every wrong order"
        checks.append(Check("one_seed", "note", evidence, "repeat some runs with other seeds"))
    return checks


def _size(ladder: Ladder, size: int, said: Array | None, request: RecipesRequest) -> SizeDecisions:
    forecast, reason = _forecasts(ladder, size, is_loss=request.is_loss)
    by_law = None if forecast is None else accuracy(forecast, ladder.merit[:, -1], request.level)
    if by_law is not None and not by_law.pairs:
        by_law, reason = None, "no two recipes have enough runs for a law"
    return SizeDecisions(
        params=float(ladder.params[size]),
        tokens=float(ladder.tokens[size]),
        flops=float(ladder.flops[size]),
        spent=float(ladder.spent[size] / ladder.spent[-1]),
        spent_below=float(ladder.spent[: size + 1].sum() / ladder.spent[-1]),
        ranking=accuracy(ladder.merit[:, size], ladder.merit[:, -1], request.level),
        says=None if said is None else float(np.nanmean(np.maximum(said, 1 - said)[_pairs(said)])),
        by_law=by_law,
        by_law_reason=reason,
    )


def accuracy(small: Array, target: Array, level: float) -> Accuracy:
    """The share of pairs of recipes that two lists of merits [r] order alike; ties of the first count as half.

    >>> accuracy(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0]), 0.9).share
    0.6666666666666666
    """
    right = _right(small, target)
    counts = np.isfinite(right)
    pairs = int(np.triu(counts, 1).sum())
    if not pairs:
        return Accuracy(np.nan, np.nan, np.nan, 0)
    # A pair is no independent draw: every recipe is in many. So recipes are drawn anew, and with them their pairs.
    drawn = np.random.default_rng(0).multinomial(len(small), np.full(len(small), 1 / len(small)), DRAWS)
    hits, all_pairs = (np.einsum("bi,ij,bj->b", drawn, part, drawn) for part in (np.where(counts, right, 0.0), counts))
    with np.errstate(all="ignore"):
        low, high = np.nanquantile(hits / all_pairs, [(1 - level) / 2, (1 + level) / 2])
    share = float(np.triu(np.where(counts, right, 0.0), 1).sum() / pairs)
    if low == high:  # all right, or all wrong, however recipes are drawn
        low, high = _of_independent_pairs(share, int(counts.any(axis=1).sum()) // 2, level)
    return Accuracy(share, min(float(low), share), max(float(high), share), pairs)


def _of_independent_pairs(share: float, pairs: int, level: float) -> tuple[float, float]:
    """Clopper and Pearson's interval of a share of so many pairs: as many as recipes make when each is in one."""
    right, tail = share * pairs, (1 - level) / 2
    low = betaincinv(right, pairs - right + 1, tail) if right > 0 else 0.0
    high = betaincinv(right + 1, pairs - right, 1 - tail) if right < pairs else 1.0
    return float(low), float(high)


def _right(small: Array, target: Array) -> Array:
    """Whether a pair is ordered as at the target [r, r], 1/2 for a tie; NaN on the diagonal and where unknown."""
    a, b = (np.sign(merit[:, None] - merit[None]) for merit in (small, target))
    right = 0.5 * (1 + a * b)
    right[(b == 0) | np.isnan(a) | np.isnan(b)] = np.nan
    return np.asarray(right)


def _pairs(matrix: Array) -> NDArray[np.bool_]:
    return np.triu(np.ones(matrix.shape, dtype=bool), 1) & np.isfinite(matrix)


def _probabilities(ladder: Ladder, size: int) -> Array | None:
    """The probability that recipe i beats j at the target, from the runs up to a size [r, r]; None where unknown.

    Differences between recipes drift as a random walk in ln compute: E (d(b) - d(a))^2 = noise + drift x ln(C_b / C_a),
    both at least 0, by least squares over the sizes seen. What a size shows is shrunk by its noise.
    """
    from scipy.optimize import nnls
    from scipy.special import ndtr

    if size + 1 < FEWEST_SIZES:
        return None
    differences = ladder.merit[:, None, :] - ladder.merit[None, :, :]
    upper = np.triu(np.ones(differences.shape[:2], dtype=bool), 1)
    log = np.log(ladder.flops)
    rows, squares = [], []
    for a in range(size):
        for b in range(a + 1, size + 1):
            moved = (differences[..., b] - differences[..., a])[upper]
            if np.isfinite(moved).any():
                rows.append([1.0, log[b] - log[a]])
                squares.append(float(np.nanmean(moved**2)))
    if not rows:
        return None
    (noise, drift), _ = nnls(np.array(rows), np.array(squares))
    here = differences[..., size]
    # `noise` is of two differences, each of which has half of it; the rest of their spread is the recipes' own.
    own = max(0.0, float(np.nanmean(here[upper] ** 2)) - noise / 2)
    kept = own / (own + noise / 2) if own > 0 else 0.0
    variance = kept * noise / 2 + noise / 2 + drift * (log[-1] - log[size])
    probability = ndtr(kept * here / np.sqrt(variance)) if variance > 0 else 0.5 * (1 + np.sign(here))
    return np.asarray(probability)


def _reliability(ladder: Ladder, said: list[Array | None]) -> list[ReliabilityBin]:
    """How often decisions are right, by the probability with which they were said."""
    sure, hits = [np.zeros(0)], [np.zeros(0)]
    for size, probability in enumerate(said):
        if probability is None:
            continue
        right = _right(ladder.merit[:, size], ladder.merit[:, -1])
        both = _pairs(probability) & np.isfinite(right)
        sure.append(np.maximum(probability, 1 - probability)[both])
        hits.append(right[both])
    return reliability(np.concatenate(sure), np.concatenate(hits))


def reliability(told: Array, true: Array) -> list[ReliabilityBin]:
    """How often decisions [d] were right (1, or 0), by the probability with which they were said, from 1/2 to 1.

    >>> reliability(np.array([0.82, 0.88, 0.55]), np.array([1.0, 0.0, 1.0]))[1].right
    0.5
    """
    place = np.clip(np.searchsorted(EDGES, told, side="right") - 1, 0, len(EDGES) - 2)
    bins = [place == k for k in range(len(EDGES) - 1)]
    return [ReliabilityBin(float(told[b].mean()), float(true[b].mean()), int(b.sum())) for b in bins if b.any()]


def _ceiling(ladder: Ladder) -> float | None:
    one, other = (half[:, -1] for half in ladder.halves)
    right = _right(one, other)
    counts = _pairs(right)
    return float(right[counts].mean()) if counts.any() else None


def _forecasts(ladder: Ladder, size: int, *, is_loss: bool) -> tuple[Array | None, str | None]:
    """Each recipe's merit at the target by a law of its runs up to a size [r], or why there is none."""
    seen = slice(0, size + 1)
    if size + 1 < FEWEST_SIZES:
        return None, f"{plural(size + 1, 'size')}; a law needs {FEWEST_SIZES}"
    if not is_loss:
        return np.array([_line(ladder, merit, seen) for merit in ladder.merit]), None
    law = SATURATING_FLOPS if ladder_line(ladder.params, ladder.tokens) else CHINCHILLA
    need = len(law.parameters) + 1
    if size + 1 < need:
        return None, f"{plural(size + 1, 'size')}; {law.name} needs {need}"
    return np.array([_by_law(ladder, merit, seen, law) for merit in ladder.merit]), None


def _line(ladder: Ladder, merit: Array, seen: slice) -> float:
    """A score by a straight line in ln compute."""
    known = np.isfinite(merit[seen])
    if known.sum() < FEWEST_SIZES:
        return np.nan
    x = np.log(ladder.flops)
    slope, level = np.polyfit(x[seen][known], merit[seen][known], 1)
    return float(level + slope * x[-1])


def _by_law(ladder: Ladder, merit: Array, seen: slice, law: Law) -> float:
    """-ln loss by the estimate that forecasts use, without its draws."""
    known = np.isfinite(merit[seen])
    if known.sum() <= len(law.parameters):
        return np.nan
    columns = {"params": ladder.params, "tokens": ladder.tokens, "flops": ladder.flops}
    x = np.log(np.stack([columns[name] for name in law.features], axis=-1))
    count = np.ones(int(known.sum()))
    sample = Sample.of(law, x[seen][known], np.exp(-merit[seen][known]), ladder.tokens[seen][known], count)
    theta, _ = estimate_map(sample, law.starts(sample.x, sample.y)[0])
    shifted = law.shift(theta, sample.origin)
    return -float(law.value_and_grad(shifted[None], x[-1:])[0][0, 0])
