"""Unit checks: losses that are no nats, tokens in billions, which N and which FLOPs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from foretoken.fits.check import Check, plural
from foretoken.fits.law_columns import vocabulary
from foretoken.fits.table_rows import TableCheck, TableRows

PLAUSIBLE_RATIO = (1e-3, 1e6)
"""Tokens per parameter of any real run."""
LARGEST_VOCABULARY = 300_000
IN_BITS = ("bits", "bits_per_token", "bits_per_byte", "bpb", "bpt")
PERPLEXITIES = ("perplexity", "ppl")
SHARE, SHARE_MOVES = 0.3, 0.1
ALL_ACTIVE = 0.9
"""Share of the parameters from which all count as active: heads and routers differ by less."""


def loss_unit(table: TableRows) -> Iterator[Check]:
    """Losses that cannot be nats: above the loss of guessing, or another column's values in another unit."""
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
                yield _unit(code, evidence)


def _unit_evidence(relation: str, name: str) -> tuple[str, str]:
    """The unit that the loss is in when it relates so to a column, and the evidence; empty where it says nothing."""
    word = name.lower().removeprefix("val_").removeprefix("eval_")
    if relation == "log2" and word in PERPLEXITIES:
        return "loss_in_bits", f"loss is log2 of `{name}` in every run"
    if relation == "same" and word in PERPLEXITIES:
        return "loss_in_perplexity", f"loss equals `{name}` in every run"
    if relation == "same" and word in IN_BITS:
        return "loss_in_bits", f"loss equals `{name}` in every run"
    if relation == "bits":
        return "loss_in_bits", f"loss is `{name}` / ln 2 in every run"
    if relation == "exp":
        return "loss_in_perplexity", f"loss is e to the power of `{name}` in every run"
    return "", ""


def _unit(code: str, evidence: str) -> Check:
    cure = "multiply by ln 2" if code == "loss_in_bits" else "take the logarithm"
    return Check(code, "doubt", evidence, f"if so, {cure}; a law is fitted to nats per token")


def units(table: TableRows) -> Iterator[Check]:
    """Tokens per parameter, and FLOPs per parameter and token, that no real run has."""
    rows = table.rows
    if not len(rows):
        return
    ratio = rows.tokens / rows.params
    if np.median(ratio) < PLAUSIBLE_RATIO[0] or np.median(ratio) > PLAUSIBLE_RATIO[1]:
        evidence = f"the median run has {np.median(ratio):.3g} tokens per parameter"
        yield Check("units_doubtful", "doubt", evidence, "give plain counts: not millions, billions or steps")
    per = rows.flops / (rows.params * rows.tokens)
    if np.median(per) < 1 or np.median(per) > 60 or per.max() > 10 * per.min():
        evidence = f"FLOPs per parameter and token go from {per.min():.3g} to {per.max():.3g} (6 N D is 6)"
        cure = "check the unit of flops (FLOP, not PF-days) and which N it counts"
        yield Check("flops_inconsistent", "doubt", evidence, cure)
    if any("6 x params x tokens" in text for text in [*table.assumed, *rows.assumed]):
        yield Check(
            "flops_assumed", "note", "flops are 6 x params x tokens", "give exact ones: attention and head count"
        )


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


TABLE: list[TableCheck] = [loss_unit, units, active_share]
"""What concerns every number that is made from the table."""
CHECKS: list[TableCheck] = [*TABLE, embedding_share, attention_share]
