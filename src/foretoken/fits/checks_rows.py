"""The doctor, on the rows themselves: cells, doubles, mixtures, units, counts."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from foretoken.fits.diagnose import design_checks, row_checks
from foretoken.fits.examined import CheckOf, Examined, listed, plural
from foretoken.fits.result import Check
from foretoken.fits.rows import refusals
from foretoken.laws import CHINCHILLA
from foretoken.laws.law import Array
from foretoken.runs.table import COLUMNS

MAY_BE_EQUAL = (
    {"tokens", "unique_tokens"},
    {"flops", "flops_6nd"},
    {"params", "params_total", "params_active"},
    {"params_total", "params_active", "params_non_embedding"},
)
MIXED = {
    "eval_set": ("mixed_eval_sets", "refused", "losses on different texts do not compare; keep the rows of one"),
    "tokenizer": ("mixed_tokenizers", "refused", "nats per token do not compare; keep one, or compare bits per byte"),
    "corpus": ("mixed_corpora", "doubt", "a law is of one corpus; keep the rows of one with --where"),
    "family": ("mixed_families", "doubt", "fit each family of models alone"),
    "objective": ("mixed_objectives", "doubt", "fit each objective alone"),
}
PLAUSIBLE_RATIO = (1e-3, 1e6)
"""Tokens per parameter of any real run."""
LARGEST_VOCABULARY = 300_000
SHARE, SHARE_MOVES = 0.3, 0.1


def refused(seen: Examined) -> Iterator[Check]:
    """Too few runs, one size, one length, N and D that move together, equal losses."""
    for error in refusals(seen.rows, CHINCHILLA):
        yield Check(error.code, "refused", error.evidence, error.cure or "")


def doubtful_design(seen: Examined) -> Iterator[Check]:
    """Few runs, N and D nearly collinear."""
    if len(seen.rows) > 2:
        yield from design_checks(seen.rows)


def doubtful_rows(seen: Examined) -> Iterator[Check]:
    """Shared trajectories, plain `params`, diverged runs, repeated tokens."""
    yield from row_checks(seen.rows)


def infinite_values(seen: Examined) -> Iterator[Check]:
    """Infinities in columns of numbers."""
    for name in seen.frame.columns.intersection(list(COLUMNS)):
        if COLUMNS[name].kind == "number" and np.isinf(seen.frame[name].to_numpy(dtype=np.float64)).any():
            where = np.flatnonzero(np.isinf(seen.frame[name].to_numpy(dtype=np.float64))) + 1
            evidence = f"{name} is infinite in {plural(len(where), 'row')}: {listed(where)}"
            yield Check(
                "infinite_values", "doubt", evidence, "a run without a loss has an empty cell; look for overflow"
            )


def missing_as_zero(seen: Examined) -> Iterator[Check]:
    """A loss or count of 0 or below is a missing value in disguise."""
    for name in ("loss", "params_total", "params", "params_active", "params_non_embedding", "tokens", "flops"):
        if name in seen.frame and (seen.frame[name] <= 0).any():
            where = np.flatnonzero((seen.frame[name] <= 0).to_numpy()) + 1
            evidence = f"{name} is 0 or below in {plural(len(where), 'row')}: {listed(where)}"
            yield Check("missing_as_zero", "doubt", evidence, "leave the cell of a missing value empty")


def duplicated_rows(seen: Examined) -> Iterator[Check]:
    """Equal rows, whatever they are called."""
    names = [name for name in seen.frame if name != "run" and not (name in COLUMNS and not COLUMNS[name].determined)]
    doubles = seen.frame[names].astype(str).duplicated()
    if doubles.any():
        evidence = f"{plural(int(doubles.sum()), 'row')} repeat another: {listed(np.flatnonzero(doubles) + 1)}"
        yield Check("duplicated_rows", "doubt", evidence, "leave them out: they count the same evidence twice")


def duplicated_columns(seen: Examined) -> Iterator[Check]:
    """Two columns of numbers with the same values, one of them canonical."""
    numbers = seen.frame.select_dtypes("number")
    moving = [str(name) for name in numbers if numbers[name].nunique() > 1]
    for one, other in combinations(moving, 2):
        known = {one, other} & set(COLUMNS)
        if known and not any({one, other} <= pair for pair in MAY_BE_EQUAL) and numbers[one].equals(numbers[other]):
            evidence = f"`{one}` and `{other}` are equal in every row"
            severity = "doubt" if len(known) == 2 else "note"
            yield Check("duplicated_columns", severity, evidence, "check which was meant; name the other with --map")


def mixtures(seen: Examined) -> Iterator[Check]:
    """Several evaluation sets, tokenizers, corpora, families or objectives in one table."""
    for name, (code, severity, cure) in MIXED.items():
        words = seen.words(name)
        if len(words) > 1:
            yield Check(code, severity, f"{len(words)} values of {name}: {listed(words)}", cure)


def loss_unit(seen: Examined) -> Iterator[Check]:
    """Losses that cannot be nats: above the loss of guessing, or equal to another unit's column."""
    loss, vocabulary = seen.rows.loss, _vocabulary(seen)
    if not len(loss):
        return
    declared = f"the vocabulary has {vocabulary:.0f} entries" if vocabulary else "no vocabulary is that large"
    guessing = float(np.log(vocabulary or LARGEST_VOCABULARY))
    above = loss > 1.02 * guessing
    if above.sum() > 0.05 * len(loss):
        bits = bool(vocabulary) and loss.max() <= 1.02 * guessing / np.log(2)
        evidence = (
            f"{plural(int(above.sum()), 'run')} of {len(loss)} are above ln V = {guessing:.2f} nats, the loss of"
            f" guessing ({declared}); the largest is {loss.max():.4g}"
        )
        code, cure = ("loss_in_bits", "multiply by ln 2") if bits else ("loss_in_perplexity", "take the logarithm")
        yield Check(code, "doubt", evidence, f"if so, {cure}; a law is fitted to nats per token")
    for name in ("perplexity", "ppl", "val_perplexity", "val_ppl"):
        yield from _beside_perplexity(name, seen.used(name), loss)


def _beside_perplexity(name: str, perplexity: Array | None, loss: Array) -> Iterator[Check]:
    if perplexity is None or (perplexity <= 0).any():
        return
    if np.allclose(loss, np.log2(perplexity), rtol=1e-3):
        evidence = f"loss is log2 of `{name}` in every run"
        yield Check("loss_in_bits", "doubt", evidence, "multiply by ln 2; a law is fitted to nats per token")
    elif np.allclose(loss, perplexity, rtol=1e-3):
        evidence = f"loss equals `{name}` in every run"
        yield Check("loss_in_perplexity", "doubt", evidence, "take the logarithm; a law is fitted to nats per token")


def _vocabulary(seen: Examined) -> float | None:
    """Entries of the tokenizer: told, or head and embedding over the width."""
    for name in ("vocabulary", "vocab_size"):
        told = seen.used(name)
        if told is not None:
            return float(told.max())
    width = seen.used("width")
    for name in ("params_head", "params_embedding"):
        part = seen.used(name)
        if width is not None and part is not None and (part > 0).all() and (width > 0).all():
            return float((part / width).max())
    return 256.0 if seen.words("tokenizer") == ["byte"] else None


def units(seen: Examined) -> Iterator[Check]:
    """Tokens per parameter, and FLOPs per parameter and token, that no real run has."""
    rows = seen.rows
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
    if any("6 x params x tokens" in text for text in [*seen.assumed, *rows.assumed]):
        yield Check(
            "flops_assumed", "note", "flops are 6 x params x tokens", "give exact ones: attention and head count"
        )


def embedding_share(seen: Examined) -> Iterator[Check]:
    """A share of embeddings that is large and changes with size bends the exponent, depending on how N is counted."""
    total, inner = seen.used("params_total"), seen.used("params_non_embedding")
    if total is None or inner is None:
        return
    share = 1 - inner / total
    if share.max() > SHARE and np.ptp(share) > SHARE_MOVES:
        evidence = f"embedding and head are {100 * share.max():.0f} % of the smallest and {100 * share.min():.0f} % of"
        cure = "say which count of N is meant, and look at the table of conventions"
        yield Check("embedding_share", "doubt", f"{evidence} the largest models' parameters", cure)


def attention_share(seen: Examined) -> Iterator[Check]:
    """FLOPs of exactly 6 N D where attention would add a tenth or more."""
    layers, width, context = (seen.used(name) for name in ("layers", "width", "context"))
    if layers is None or width is None or context is None:
        return
    per_token = seen.rows.flops / seen.rows.tokens
    attention = 6 * layers * width * context
    plain = np.isclose(per_token, 6 * seen.rows.params, rtol=1e-3)
    if plain.all() and (attention / per_token).max() > 0.1:
        evidence = f"flops are 6 N D; attention adds up to {100 * (attention / per_token).max():.0f} %"
        yield Check("attention_left_out", "note", evidence, "count exact FLOPs; the share is largest for small models")


def active_share(seen: Examined) -> Iterator[Check]:
    """Mixtures of experts: two counts of N."""
    total, active = seen.used("params_total"), seen.used("params_active")
    if total is not None and active is not None and (active < 0.9 * total).any():
        evidence = (
            f"N is {seen.rows.params_column}; active are {100 * (active / total).min():.0f} % of all at the least"
        )
        yield Check("active_differs", "note", evidence, "fit both counts: --params params_active")


CHECKS: list[CheckOf] = [
    refused,
    doubtful_design,
    doubtful_rows,
    infinite_values,
    missing_as_zero,
    duplicated_rows,
    duplicated_columns,
    mixtures,
    loss_unit,
    units,
    embedding_share,
    attention_share,
    active_share,
]
