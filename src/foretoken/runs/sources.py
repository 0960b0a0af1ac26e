"""--map: where each of our columns comes from in a table. `loss=val_loss,tokens=steps*batch*context,params=n:M`."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from foretoken.arguments import nearest
from foretoken.errors import ForetokenError, TableError
from foretoken.escapes import for_shell
from foretoken.runs.cells import COUNTED, ONE, Unit, as_list, named_unit, number, numbers_in, unit_of
from foretoken.runs.exports import known_as
from foretoken.runs.table import COLUMNS

if TYPE_CHECKING:
    import pandas as pd


class Source(NamedTuple):
    """What one of our columns is: one column of the file, or a product of columns and numbers."""

    columns: tuple[str, ...]
    factor: float
    """What the product is multiplied with."""
    unit: Unit | None
    """That was said, by the name of the column or with `:`; None where nothing was."""
    divisors: tuple[str, ...] = ()
    """Columns that the product is divided by."""

    @property
    def is_one_column(self) -> bool:
        """Whether the cells are taken as they are, text too."""
        return len(self.columns) == 1 and self.factor == 1.0 and not self.divisors

    @property
    def name(self) -> str:
        """As --map names it, without numbers."""
        return "/".join(["*".join(self.columns), *self.divisors])

    def in_unit(self, word: str, ours: str) -> str:
        """The --map that says its unit; of a product it is a factor."""
        unit = named_unit(word, ours) or ONE
        return as_typed(f"{ours}={self.name}:{word}" if self.is_one_column else f"{ours}={unit.factor:g}*{self.name}")


def parse_map(text: str, option: str = "--map", example: str = "loss=val_loss,tokens=D") -> dict[str, str]:
    """`loss=val_loss,tokens=D` -> {"loss": "val_loss", "tokens": "D"}; names with commas stand between quotes.

    >>> parse_map('loss="loss, nats",tokens=steps*batch')
    {'loss': 'loss, nats', 'tokens': 'steps*batch'}
    """
    quoted = re.sub(r'(^|,)\s*([^",=]+)="((?:[^"]|"")*)"', r'\1"\2=\3"', text)
    try:
        pairs = [pair.partition("=") for pair in next(csv.reader([quoted]), []) if pair.strip()]
    except csv.Error:
        raise ForetokenError(f"{option}: not readable", expected=example, got=repr(text)) from None
    for ours, equals, theirs in pairs:
        if not (ours.strip() and equals and (theirs.strip() or ours.strip() in ("status", "split"))):
            raise ForetokenError(f"{option}: not readable", expected=example, got=repr(text))
    names = [ours.strip() for ours, _, _ in pairs]
    if len(set(names)) < len(names):
        raise ForetokenError(f"{option}: one thing is named twice", expected=example, got=repr(text))
    return {ours.strip(): theirs.strip() for ours, _, theirs in pairs}


def find_source(frame: pd.DataFrame, ours: str, theirs: str, source: str) -> Source:
    """What `ours=theirs` means in a table: the exact name of a column, else COLUMN:UNIT, else a product or a quotient.

    Raises TableError for a column that is not there, with the nearest that is.
    """
    names = list(map(str, frame.columns))
    theirs = known_as(theirs, names)
    if theirs in names:
        return Source((theirs,), 1.0, unit_of(theirs, ours))
    stem, colon, word = theirs.rpartition(":")
    said = named_unit(word, ours) if colon else None
    if said:
        return find_source(frame, ours, stem.strip(), source)._replace(unit=said)
    factors = list(_factors(theirs, names))
    missing = [name for name, _ in factors if name not in names and not number(name) > 0]
    columns = [name for name, divides in factors if name in names and not divides]
    if missing or not columns:
        raise _missing(ours, theirs, missing[0] if missing else theirs, names, source)
    numbers = [(number(name), divides) for name, divides in factors if name not in names]
    units = [(unit.factor, divides) for name, divides in factors if name in names and (unit := _unit_in(name, ours))]
    # Who writes the factor of a unit (1e6*params_M) counts it so; other numbers (6, a batch) are none.
    counted = [unit for unit in units if any(math.isclose(unit[0], value, rel_tol=0.01) for value, _ in numbers)]
    parts = [*numbers, *(unit for unit in units if unit not in counted)]
    factor = math.prod(value ** (-1 if divides else 1) for value, divides in parts)
    said = ONE if counted or (numbers and not units) else None
    return Source(tuple(columns), factor, said, tuple(name for name, divides in factors if name in names and divides))


def _unit_in(name: str, ours: str) -> Unit | None:
    """The unit that a name in a product says: of compute, too, since tokens may be C / 6 N."""
    return unit_of(name, "flops") if ours in COUNTED else None


def _factors(text: str, names: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """The columns and numbers of `a*b/c`, and whether each divides. A name may hold a `/`: the longest that fits is it.

    >>> list(_factors("flops/6/eval/params", ["flops", "eval/params"]))
    [('flops', False), ('6', True), ('eval/params', True)]
    """
    for factor in text.split("*"):
        parts, begin = factor.split("/"), 0
        while begin < len(parts):
            ends = range(len(parts), begin, -1)
            names_from = {end: known_as("/".join(parts[begin:end]).strip().strip('"'), names) for end in ends}
            end = next((end for end, name in names_from.items() if name in names or number(name) > 0), len(parts))
            yield names_from[end], begin > 0
            begin = end


def _missing(ours: str, theirs: str, name: str, names: list[str], source: str) -> TableError:
    near = nearest(name, names)
    return TableError(
        f"{as_typed(f'{ours}={theirs}')}: {source} has no column {name!r}",
        expected=", ".join(names),
        cure=f"did you mean {near[0]!r}?" if near else "name one of these",
        code="missing_column",
    )


def apply_map(
    frame: pd.DataFrame, rename: Mapping[str, str], source: str
) -> tuple[pd.DataFrame, list[str], dict[str, Source]]:
    """The frame under our names, what was done in sentences, and what each mapped column is made of."""
    frame = _with_entries(frame, rename)
    found = {ours: find_source(frame, ours, theirs, source) for ours, theirs in rename.items() if theirs}
    used = {name for one in found.values() for name in (*one.columns, *one.divisors)}
    # A column of ours that another is mapped to gives way, unless it is itself the source of another.
    hidden = [ours for ours in found if ours in frame and ours not in used]
    unread = [ours for ours, theirs in rename.items() if not theirs and ours in frame]
    notes = [f"the file's own column `{ours}` is not read: --map takes `{rename[ours]}` for it" for ours in hidden]
    notes += [f"the file's own column `{ours}` is not read" for ours in unread]
    notes += [f"`{ours}` is {_told(rename[ours], ours, one)}" for ours, one in found.items() if not one.is_one_column]
    # Renamed rather than made anew, but for products and for a second name of one column.
    renamed = {one.columns[0]: ours for ours, one in found.items() if one.is_one_column}
    made = {
        ours: frame[one.columns[0]] if one.is_one_column else _product(frame, one, source)
        for ours, one in found.items()
        if ours not in renamed.values()
    }
    return frame.drop(columns=[*hidden, *unread]).rename(columns=renamed).assign(**made), notes, found


# What people call the columns that a table of runs must have, the likeliest first; units at the end are left out.
_NAMES = {
    "params": r"(n|num|total)?_?(param(eter)?s?|weights)(_?(total|count|n))?|model_?size|size|n",
    "tokens": r"(n|num|total)?_?((train(ing)?|input|consumed)_?)?tokens?(_?(seen|total|trained|count))?"
    r"|d|((pre_?)?train(ing)?_?)?data(set)?_?size",
    "flops": r"(((pre_?)?train(ing)?|total|num|n|est(imated)?|approx)_?)*(flops?|flos|compute)"
    r"(_?(total|budget|used|count|est(imated)?|6nd))?|c|budget",
    "loss": r"(val(id(ation)?)?|eval|test|final|dev)?_?(ce_|lm_|cross_entropy_)?loss(_?(val|final|nats))?"
    r"|l|cross_?entropy|(val(id(ation)?)?|eval|test)?_?(bpb|bpc|ppl|perplexity|nll|bits_per_(byte|char|token))",
}


def proposals(frame: pd.DataFrame, missing: Sequence[str]) -> str:
    """A --map for the columns that are missing, from the names that are there; YOUR_COLUMN where none is alike."""
    parts = []
    for ours in missing:
        like = columns_like(frame, ours)
        found = like[0] if like else next(iter(nearest(ours, _may_be(frame, ours))), "YOUR_COLUMN")
        if found in frame and frame[found].map(as_list).notna().any():
            found += "[-1]"  # a curve, of which the end is a run's loss
        parts.append(f'{ours}="{found}"' if "," in found else f"{ours}={found}")
    flops = [name for name in columns_like(frame, "flops") if re.search("flop", name, re.IGNORECASE)]
    if "loss" in missing and "flops" not in frame and len(flops) == 1:
        parts.append(f'flops="{flops[0]}"' if "," in flops[0] else f"flops={flops[0]}")
    return as_typed(",".join(parts))


def columns_like(frame: pd.DataFrame, ours: str) -> list[str]:
    """The columns whose names are what people call ours, the likeliest first.

    >>> import pandas as pd
    >>> columns_like(pd.DataFrame(columns=["training_flops", "flops_per_step", "Compute (FLOP)"]), "flops")
    ['training_flops', 'Compute (FLOP)']
    """
    names, pattern = _may_be(frame, ours), _NAMES.get(ours)
    like = [name for name in names if pattern and re.fullmatch(pattern, _plain(name), re.IGNORECASE)]
    like = like or [name for name in names if _holds(name, ours)]
    return sorted(like, key=_is_second_choice)  # exact counts before rounded ones, losses before perplexities


def _may_be(frame: pd.DataFrame, ours: str) -> list[str]:
    # A loss on what was trained on is lower than that on held-out text, and another quantity.
    return [name for name in map(str, frame.columns) if ours != "loss" or not _NO_LOSS.search(name)]


_NO_LOSS = re.compile(
    r"train|[_./ ](std|stddev|stderr|se|sem|var|err|ci|low|high|count|delta|diff)(,\w+)?$", re.IGNORECASE
)
"""In names of what is no loss on held-out text, or the error of one."""


def _is_second_choice(name: str) -> bool:
    return re.search(r"size|ppl|perplexity|rounded|approx", name, re.IGNORECASE) is not None


def _holds(name: str, ours: str) -> bool:
    """Whether a longer name ends with the word for a column of ours: `Pile val loss`, `c4_bpb`."""
    plain = _plain(name).lower()
    if any(word in plain for word in _FOREIGN.get(ours, ())):
        return True
    words = {word for word in re.split(r"[^a-z0-9]+", plain) if word}
    ends = rf"(^|_)({_WORDS.get(ours, '$^')})(_({_COUNTED_AS}))?$"
    return re.search(ends, plain) is not None and not (ours != "loss" and words & _OTHER_COUNTS)


def other_sizes(frame: pd.DataFrame, sizes: Sequence[str], sources: Mapping[str, Source]) -> list[str]:
    """Which column is N, where others of the table could be it too; nothing where our own names tell them apart."""
    foreign = [
        name
        for name in map(str, frame.columns)
        if name not in COLUMNS
        and re.search(rf"(^|_)(params|parameters)(_({_COUNTED_AS}))?$", _plain(name), re.IGNORECASE)
        and any(number(cell, "params") > 0 for cell in frame[name].head(20))
    ]
    others = [*sizes[1:], *foreign]
    if not sizes or not others or (sizes[0] != "params" and not foreign):
        return []
    taken = f" (`{sources[sizes[0]].columns[0]}`)" if sizes[0] in sources else ""
    could = ", ".join(f"`{name}`" for name in others)
    example = as_typed(f"params={others[0]}") if foreign else f"--params {others[0]}"
    return [f"N is `{sizes[0]}`{taken}; {could} could be N too: {example}"]


_COUNTED_AS = "total|active|count|n|d|l|seen|final|mean|val|trainable|trained|all|(non|no|with|without)_?embed\\w*"
"""What may follow the word `params` in the name of a count: Optuna calls every setting params_*."""


def _name_of_runs(frame: pd.DataFrame) -> str:
    """The column that names runs under another name: `run_name`, `tags.mlflow.runName`, `run_id`; "" without one."""
    last = {name: re.sub(r"[\s_-]", "", re.split(r"[./]", name)[-1].lower()) for name in map(str, frame.columns)}
    return next((name for word in ("runname", "runid") for name, end in last.items() if end == word), "")


def completed(frame: pd.DataFrame, rename: Mapping[str, str], size: str) -> tuple[pd.DataFrame, list[str]]:
    """The frame with names of runs and FLOPs from other columns, and what is assumed; `size` is the column of N."""
    notes = []
    if "run" not in frame and "run" not in rename and (name := _name_of_runs(frame)):
        frame = frame.assign(run=frame[name])
        notes.append(f"`{name}` is read as `run`")
    if "params_total" not in frame and "params" in frame:
        notes.append("`params` is taken as N of undeclared convention (with or without embeddings is unknown)")
    if "flops" not in frame and size:
        frame = frame.assign(flops=6.0 * frame[size] * frame["tokens"])
        notes += ["`flops` is missing and taken as 6 x params x tokens", *_other_compute(frame)]
    return frame, notes


def other_losses(frame: pd.DataFrame, taken: Source | None) -> list[str]:
    """Which column is the loss, where others of the table could be it too: other sets, or `val_loss` beside `loss`."""
    import numpy as np

    used = set(taken.columns) if taken else set()
    with np.errstate(all="ignore"):
        loss = frame["loss"].to_numpy(dtype=np.float64)
        same = [loss, np.exp(loss), loss / math.log(2.0), loss * math.log(2.0)]
    others = []
    for name in map(str, frame.columns) if frame.columns.is_unique else ():
        if name in COLUMNS or name in used or "train" in name.lower() or not _may_be_loss(name):
            continue
        values = np.array([number(cell) for cell in frame[name]])
        is_same = any(np.allclose(values, one, rtol=1e-3, equal_nan=True) for one in same)
        if np.isfinite(values).any() and not is_same:
            others.append(name)
    if not others:
        return []
    could, first = ", ".join(f"`{name}`" for name in others), others[0]
    example = as_typed(f'loss="{first}"' if "," in first else f"loss={first}")
    return [f"the loss is `{taken.name if taken else 'loss'}`; {could} could be it too: {example}"]


def _other_compute(frame: pd.DataFrame) -> list[str]:
    """Which column could be the compute, where the table has none of that name and it is counted instead."""
    could = [name for name in columns_like(frame, "flops") if name not in COLUMNS]
    return [f"`{could[0]}` could be `flops`: {proposals(frame, ['flops'])}"] if could else []


def _may_be_loss(name: str) -> bool:
    return re.fullmatch(_NAMES["loss"], _plain(name), re.IGNORECASE) is not None or _holds(name, "loss")


def as_typed(text: str) -> str:
    """A --map as it is typed, between quotes where a shell needs them.

    >>> as_typed("loss=val_loss"), as_typed("tokens=tokens (B)")
    ('--map loss=val_loss', "--map 'tokens=tokens (B)'")
    """
    return for_shell("--map", text)


_WORDS = {
    "params": "n_?params?|params?|parameters?|model_size|size",
    "tokens": "tokens?",
    "loss": "loss|bpb|bpc|ppl|perplexity|nll|xent|bits_per_(byte|char|character|token)",
}
"""Last words of the names of such columns."""
_FOREIGN = {
    "params": ("parameterzahl", "paramètres", "parâmetros", "parámetros", "パラメータ", "参数量", "參數量", "параметр"),
    "tokens": ("jetons", "トークン", "词元", "詞元", "토큰", "токен"),
    "loss": ("verlust", "perte", "perda", "pérdida", "perdita", "損失", "损失", "손실", "потер"),
}
"""The same in other languages."""
_OTHER_COUNTS = {
    "per",
    "batch",
    "unique",
    "vocab",
    "vocabulary",
    "rate",
    "s",
    "sec",
    "second",
    "data",
    "step",
    "context",
}
"""Words beside these that count something else."""
LONGEST_NAME = 1000
"""Characters at the end of a name that may say what it is; a file that is one word has a longer one."""
_UNIT = re.compile(r"\s*[(\[{][^)\]}]*[)\]}]$|[ _-](k|m|b|g|t|bn|mn|millions?|billions?|trillions?)$", re.IGNORECASE)


def _plain(name: str) -> str:
    """The last part of a dotted name (eval/loss stays whole), without a unit at its end."""
    name = name[-LONGEST_NAME:]
    short = re.fullmatch(r"(val|valid|eval|test)[./]\w+", name)
    name = re.sub(r"[./](mean|avg|median|last|final|best|min)$", "", name)
    name = re.sub(r"(?<=\w),[\w-]+$", "", name)  # the filter of lm-evaluation-harness: bits_per_byte,none
    last = re.sub(r"[./]", "_", name) if short else re.split(r"[./](?!\s)", name)[-1]
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", _UNIT.sub("", last).strip())  # CrossEntropyLoss
    return re.sub(r"[\s-]+", "_", parted)


def _told(theirs: str, ours: str, one: Source) -> str:
    """A product as it was given, with the units that names in it say."""
    names = (*one.columns, *one.divisors)
    said = [f"{name} in {unit.name}" for name in names if one.unit is None and (unit := _unit_in(name, ours))]
    return f"{theirs} ({', '.join(said)})" if said else theirs


def _product(frame: pd.DataFrame, one: Source, source: str) -> pd.Series:
    """A product of columns and numbers [r]."""
    product = numbers_in(frame[one.columns[0]], source, one.factor)
    for name in one.columns[1:]:
        product = product * numbers_in(frame[name], source)
    for name in one.divisors:
        divisor = numbers_in(frame[name], source)
        product = product / divisor.where(divisor != 0)
    return product


_ENTRY = re.compile(r"\[(-?\d{1,6})\]")
"""One entry of the list in each cell of a column: val_loss[-1]."""


def _with_entries(frame: pd.DataFrame, rename: Mapping[str, str]) -> pd.DataFrame:
    """The frame with a column for each entry of lists that is named, as `val_loss[-1]`."""
    names = list(map(str, frame.columns))
    entries = {}
    for theirs in rename.values():
        for match in _ENTRY.finditer(theirs) if theirs not in names else ():
            stem = re.split(r"[*:\]]", theirs[: match.start()])[-1].strip()
            entries[f"{stem}{match[0]}"] = (known_as(stem, names), int(match[1]))
    made = {
        entry: frame[name].map(lambda cell, place=place: _entry(cell, place))
        for entry, (name, place) in entries.items()
        if name in names and entry not in names and frame.columns.is_unique
    }
    return frame.assign(**made)


def _entry(cell: object, place: int) -> object:
    listed = as_list(cell)
    return listed[place] if listed is not None and -len(listed) <= place < len(listed) else None
