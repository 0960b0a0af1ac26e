"""Unit checks: losses that are no nats, tokens in billions, which N and which FLOPs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from foretoken.errors import TableError
from foretoken.fits.check import Check, plural
from foretoken.fits.law_columns import vocabulary
from foretoken.fits.rows import Rows
from foretoken.fits.table_rows import TableCheck, TableRows
from foretoken.laws.law import Array
from foretoken.runs.loss_units import NATS_PER_TOKEN, LossUnit, short_unit, unit_in_name

PLAUSIBLE_RATIO = (1e-3, 5e3)
"""Tokens per parameter of the median run of a table: of models that are sold it is below 2,000 in nearly all."""
USUAL_RATIO = 20.0
"""Tokens per parameter near which a count is taken to be right."""
THOUSANDS = {1: "thousands", 2: "millions", 3: "billions", 4: "trillions"}
SAME_FACTOR = 8.0
"""FLOPs of 2 to 20 N D are FLOPs of some kind; 1000 times as many are another unit."""
CONSTANT, OFF = 1.01, 0.02
"""FLOPs per parameter and token that differ by 1 % at most were computed from N and D; from 6 they are 2 % off."""
ALIKE, TWO_KINDS = 0.4, 1.3
"""FLOPs of two kinds: each kind spreads less than this share of the gap between them, which is a factor 1.3 or more."""
MOVES, RANKED = 1.1, 0.9
"""FLOPs per parameter and token that change by 10 % with size, in the order of size (rank correlation)."""
KNOWN_FACTORS = {
    2.0: "2 N D is the forward pass alone: training takes 6 N D",
    4.0: "4 N D is the backward pass alone: training takes 6 N D",
    8.0: "8 N D counts activations that are computed again: the work of a run is 6 N D",
}
LARGEST_VOCABULARY = 300_000
PERPLEXITIES = ("perplexity", "ppl")
FEW_DIGITS_FROM = 8
"""Losses that are rounded together by no accident: chance is 0.01 to the power of this."""
SHARE, SHARE_MOVES = 0.3, 0.1
ALL_ACTIVE = 0.9
"""Share of the parameters from which all count as active: heads and routers differ by less."""
MOST = 0.8
"""Share of the runs with fewer tokens than parameters from which the two are taken to be exchanged."""


def loss_unit(table: TableRows) -> Iterator[Check]:
    """Losses that cannot be nats per token: above the loss of guessing, or another column's values in another unit."""
    if table.rows.loss_unit != NATS_PER_TOKEN:
        return  # ln V is the loss of guessing per token alone
    loss, entries = table.rows.y, vocabulary(table.frame.iloc[table.rows.row_index])
    if not len(loss):
        return
    declared = f"the vocabulary has {entries:.0f} entries" if entries else "no vocabulary is that large"
    guessing = float(np.log(entries or LARGEST_VOCABULARY))
    above = loss > 1.02 * guessing
    if above.sum() > 0.05 * len(loss):
        bits = bool(entries) and loss.max() <= 1.02 * guessing / np.log(2)
        evidence = (
            f"{plural(int(above.sum()), 'run')} of {len(loss)} are above ln V = {guessing:.2f} nats, the loss of"
            f" guessing ({declared}); the largest is {loss.max():.4g}"
        )
        yield _unit("loss_in_bits" if bits else "loss_in_perplexity", evidence)
    yield from _beside_others(table)


def _beside_others(table: TableRows) -> Iterator[Check]:
    """Other columns that are the loss in nats, or in another unit, in every run."""
    loss = table.rows.y
    if np.ptp(loss) == 0:
        return
    others = table.frame.iloc[table.rows.row_index].select_dtypes("number").drop(columns="loss", errors="ignore")
    names = [str(name) for name in others]
    values = others.to_numpy(dtype=np.float64, na_value=np.nan)
    with np.errstate(all="ignore"):
        equal = {
            "log2": np.isclose(np.log2(values), loss[:, None], rtol=1e-3),
            "same": np.isclose(values, loss[:, None], rtol=1e-3),
            "bits": np.isclose(values / np.log(2), loss[:, None], rtol=1e-3),
            "exp": np.isclose(np.exp(values), loss[:, None], rtol=1e-3),
        }
    for relation, agrees in equal.items():
        for name in (names[i] for i in np.flatnonzero(agrees.all(axis=0))):
            code, evidence = _unit_evidence(relation, name)
            if code:
                unit = _unit_of_name(name) if relation == "same" else None
                yield _unit(code, evidence, "" if unit is None else unit.name)


def _unit_evidence(relation: str, name: str) -> tuple[str, str]:
    """The unit that the loss is in when it relates so to a column, and the evidence; empty where it says nothing."""
    word = name.lower().removeprefix("val_").removeprefix("eval_")
    if relation == "log2" and word in PERPLEXITIES:
        return "loss_in_bits", f"loss is log2 of `{name}` in every run"
    if relation == "same" and word in PERPLEXITIES:
        return "loss_in_perplexity", f"loss equals `{name}` in every run"
    unit = _unit_of_name(name)
    if relation == "same" and (word == "bits" or (unit and unit.name.startswith("bits"))):
        return "loss_in_bits", f"loss equals `{name}` in every run"
    if relation == "bits":
        return "loss_in_bits", f"loss is `{name}` / ln 2 in every run"
    if relation == "exp":
        return "loss_in_perplexity", f"loss is e to the power of `{name}` in every run"
    return "", ""


def _unit_of_name(name: str) -> LossUnit | None:
    """The unit that a column's name says; None also where it is unclear."""
    try:
        return unit_in_name(name)
    except TableError:
        return None


def _unit(code: str, evidence: str, unit: str = "") -> Check:
    said = short_unit(unit or ("bits per token" if code == "loss_in_bits" else "perplexity"))
    return Check(code, "doubt", evidence, f"if so, say --loss-unit {said}; unsaid, a loss is taken as nats per token")


def rounded_losses(table: TableRows) -> Iterator[Check]:
    """Losses with two digits or fewer behind the point, or so few that rounding is as large as the noise can be."""
    loss = table.rows.y
    if len(loss) < FEW_DIGITS_FROM:
        return
    for digits in range(3):
        scaled = loss * 10.0**digits
        if np.allclose(scaled, np.round(scaled), rtol=0, atol=1e-6):
            ties = len(loss) - len(np.unique(np.round(scaled)))
            # A rounding error is even over one step, so its standard deviation is the step over the root of 12.
            error = 100 * 10.0**-digits / np.sqrt(12) / float(np.median(loss))
            where = plural(digits, "digit") if digits else "no digit"
            evidence = (
                f"all losses have {where} behind the point: rounding errs by {error:.2g} % (one standard deviation),"
                f" and {ties} of {len(loss)} equal another"
            )
            cure = "export them with all digits: near a minimum of an IsoFLOP curve losses differ by a few thousandths"
            yield Check("rounded_losses", "doubt", evidence, cure)
            return


def units(table: TableRows) -> Iterator[Check]:
    """Counts in thousands, N and D exchanged, and FLOPs per parameter and token, that no real run has."""
    rows = table.rows
    if not len(rows):
        return
    assumed = any("6 x params x tokens" in text for text in [*table.assumed, *rows.assumed])
    slipped = list(_by_thousands(rows, assumed))
    yield from slipped
    if not slipped:
        yield from _exchanged(rows, assumed)
        yield from _flops_of_a_kind(table) if not assumed else ()
    if assumed:
        yield Check(
            "flops_assumed", "note", "flops are 6 x params x tokens", "give exact ones: attention and head count"
        )


def _by_thousands(rows: Rows, assumed: bool) -> Iterator[Check]:
    """A count that is a power of 1000 too small: FLOPs say so, or tokens per parameter that nobody trains with."""
    ratio, per = (float(np.median(x)) for x in (rows.tokens / rows.params, rows.flops / (rows.params * rows.tokens)))
    power = round(np.log(per / 6) / np.log(1000))
    said = f"the median run has {ratio:.3g} tokens per parameter"
    if power and not assumed and abs(np.log(per / 6) - power * np.log(1000)) < np.log(SAME_FACTOR):
        # With N in units of 1000^k the true ratio is 1000^k times smaller, with D so many times larger, and where the
        # FLOPs are off it is as it stands: the likeliest is the one that brings it nearest to the usual.
        true = {"params": ratio / 1000.0**power, "tokens": ratio * 1000.0**power, "flops": ratio}
        which = min(true, key=lambda name: abs(np.log(true[name] / USUAL_RATIO)))
        evidence = f"FLOPs per parameter and token are {per:.3g}, about 1000^{power} x 6, and {said}"
        if which == "flops":
            both = ", or params and tokens both are" if power > 0 else ""
            cure = f"give FLOP: flops are in another unit by 1000^{power}{both}"
            yield Check("flops_inconsistent", "doubt", evidence, cure)
        else:
            yield Check("units_doubtful", "doubt", f"{evidence}: {_in(which, power)}", "give plain counts")
    elif ratio > PLAUSIBLE_RATIO[1]:
        power = max(1, round(np.log(ratio / USUAL_RATIO) / np.log(1000)))
        cure = "give plain counts; if these runs are meant to be that long, nothing"
        yield Check("units_doubtful", "doubt", f"{said}: {_in('params', power)}?", cure)
    elif ratio < PLAUSIBLE_RATIO[0]:
        power = max(1, round(np.log(USUAL_RATIO / ratio) / np.log(1000)))
        yield Check(
            "units_doubtful", "doubt", f"{said}: {_in('tokens', power)}?", "give plain counts: no steps, no batches"
        )


def _in(which: str, power: int) -> str:
    """`params are in thousands`."""
    if power < 0:
        return f"{which} are {1000.0**-power:.3g} times too many"
    return f"{which} are in {THOUSANDS.get(power, f'units of 1000^{power}')}"


def _exchanged(rows: Rows, assumed: bool) -> Iterator[Check]:
    """Fewer tokens than parameters: the columns are exchanged, or tokens are not counted one by one."""
    ratio = rows.tokens / rows.params
    median = float(np.median(ratio))
    if median < 1 and (ratio < 1).mean() > MOST:
        evidence = (
            f"{plural(int((ratio < 1).sum()), 'run')} of {len(rows)} have fewer tokens than parameters; the median run"
            f" has {median:.3g} tokens per parameter, and {1 / median:.3g} if the two are exchanged"
        )
        other = f", or in thousands ({1000 * median:.3g} per parameter then)" if assumed or median < 0.5 else ""
        cure = f"exchange them if so: --map params_total=tokens,tokens=params_total{other}; if it is meant, nothing"
        yield Check("exchanged_counts", "doubt", evidence, cure)


def _flops_of_a_kind(table: TableRows) -> Iterator[Check]:
    """FLOPs that are not those of training, or not of one kind."""
    rows = table.rows
    per = rows.flops / (rows.params * rows.tokens)
    low, middle, high = (float(x) for x in (per.min(), np.median(per), per.max()))
    evidence = f"FLOPs per parameter and token go from {low:.3g} to {high:.3g} (6 N D is 6)"
    if middle < 1 or middle > 60 or high > 10 * low:
        cure = "check the unit of flops (FLOP, not PF-days) and which N it counts"
        yield Check("flops_inconsistent", "doubt", evidence, cure)
    elif high <= CONSTANT * low:
        if abs(middle / 6 - 1) > OFF and not _other_count_fits(table):
            known = min(KNOWN_FACTORS, key=lambda factor: abs(np.log(factor / middle)))
            cure = KNOWN_FACTORS[known] if abs(known / middle - 1) < OFF else "check what they count, and their unit"
            told = f"every run has {middle:.3g} FLOPs per parameter and token: C is {middle:.3g} N D, not 6 N D"
            yield Check("flops_inconsistent", "doubt", told, f"{cure}; budgets and N* at a budget are off by as much")
    elif gap := _two_kinds(per, rows.params):
        told = f"FLOPs per parameter and token are of two kinds, below {gap[0]:.3g} and above {gap[1]:.3g}, at one size"
        yield Check("flops_inconsistent", "doubt", told, "count all of them in one way")
    elif len(per) > 2 and high > MOVES * low and abs(rank := _rank_correlation(per, rows.params)) > RANKED:
        told = f"{evidence}, and {'rise' if rank > 0 else 'fall'} with size"
        cure = "N and FLOPs count different things (embedding, head, attention): say which N is meant"
        yield Check("flops_change_with_size", "note", told, cure)


def _other_count_fits(table: TableRows) -> bool:
    """Whether FLOPs are 6 N D of another count of N."""
    counts = (table.used(name) for name in ("params_active", "params_non_embedding", "params_total"))
    per = (table.rows.flops / table.rows.tokens / count for count in counts if count is not None)
    return any(abs(float(np.median(one)) / 6 - 1) <= OFF for one in per)


def _two_kinds(per: Array, params: Array) -> tuple[float, float] | None:
    """The gap between two kinds of FLOPs per parameter and token that runs of all sizes have; None where there is none.

    A count that leaves the embedding out changes with size; one that changes at one size is of two kinds.
    """
    order = np.sort(np.log(per))
    widest = int(np.diff(order).argmax())
    gap = float(order[widest + 1] - order[widest])
    inside = max(float(np.ptp(order[: widest + 1])), float(np.ptp(order[widest + 1 :])))
    lower = np.log(per) <= order[widest]
    if gap < np.log(TWO_KINDS) or inside > ALIKE * gap or min(lower.sum(), (~lower).sum()) < 2:
        return None
    apart = params[lower].max() < params[~lower].min() or params[~lower].max() < params[lower].min()
    return None if apart else (float(np.exp(order[widest])), float(np.exp(order[widest + 1])))


def _rank_correlation(one: Array, other: Array) -> float:
    """Spearman's, with the order of appearance for ties."""
    first, second = (np.argsort(np.argsort(values, kind="stable"), kind="stable") for values in (one, other))
    # Without ties ranks differ by d, and the correlation is 1 - 6 sum d^2 / (n (n^2 - 1)).
    return float(1 - 6 * ((first - second) ** 2).sum() / (len(one) * (len(one) ** 2 - 1)))


def embedding_share(table: TableRows) -> Iterator[Check]:
    """A share of embeddings that is large and changes with size bends the exponent, depending on how N is counted."""
    total, inner = table.used("params_total"), table.used("params_non_embedding")
    if total is None or inner is None:
        return
    share = 1 - inner / total
    if share.max() > SHARE and np.ptp(share) > SHARE_MOVES:
        evidence = f"embedding and head are {100 * share.max():.0f} % of the smallest and {100 * share.min():.0f} % of"
        cure = "say which count of N is meant, and look at the table of conventions"
        yield Check("embedding_share", "doubt", f"{evidence} the largest models' parameters", cure)


def attention_share(table: TableRows) -> Iterator[Check]:
    """FLOPs of exactly 6 N D where attention would add a tenth or more."""
    layers, width, context = (table.used(name) for name in ("layers", "width", "context"))
    if layers is None or width is None or context is None:
        return
    per_token = table.rows.flops / table.rows.tokens
    attention = 6 * layers * width * context
    unpenalised = np.isclose(per_token, 6 * table.rows.params, rtol=1e-3)
    if unpenalised.all() and (attention / per_token).max() > 0.1:
        evidence = f"flops are 6 N D; attention adds up to {100 * (attention / per_token).max():.0f} %"
        yield Check("attention_left_out", "note", evidence, "count exact FLOPs; the share is largest for small models")


def active_share(table: TableRows) -> Iterator[Check]:
    """Mixtures of experts: two counts of N, of which a law reads one; worse where their ratio moves between runs."""
    counts = table.frame.iloc[table.rows.row_index]
    if not {"params_total", "params_active"} <= set(counts):
        return
    share = (counts["params_active"] / counts["params_total"]).to_numpy(dtype=np.float64)
    share = share[np.isfinite(share) & (share > 0)]
    if not (share < ALL_ACTIVE).any():
        return
    column = table.rows.params_column
    other = "params_total" if column == "params_active" else "params_active"
    some = f"{int((share < ALL_ACTIVE).sum())} of {plural(len(counts), 'run')}"
    evidence = f"N is {column}; in {some} fewer parameters are active, {100 * share.min():.0f} % of all at the least"
    # One ratio in all runs only scales A and N*; ratios that differ bend the law.
    if share.max() > share.min() / ALL_ACTIVE:
        cure = (
            f"one law of N does not hold for {column} and {other} alike: fit dense runs and each ratio of experts alone"
        )
        yield Check("active_differs", "doubt", f"{evidence} and {100 * share.max():.0f} % at the most", cure)
    else:
        yield Check("active_differs", "note", evidence, f"fit both counts: --params {other}")


TABLE: list[TableCheck] = [loss_unit, rounded_losses, units, active_share]
"""What concerns every number that is made from the table."""
CHECKS: list[TableCheck] = [*TABLE, embedding_share, attention_share]
