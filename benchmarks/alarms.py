"""How often the doctor cries wolf, and how often it names what is wrong: `foretoken diagnose` on simulated tables.

usage: python benchmarks/alarms.py [--tables 100] [--seed 0]            doubts about tables drawn from a law
       python benchmarks/alarms.py --planted [--tables 20] [--only KIND] how often each planted problem is named

Without --planted: IsoFLOP grids (5 budgets from 1e18 to 1e20 FLOP, 7 sizes) with independent noise, with an error that
the runs of a budget share, and with heavy tails, as in coverage.py; a ladder of 8 sizes at 5 ratios of tokens to
parameters; study ladders, whose sizes are not centred on N*; and the clean tables that problems are planted in.

Those are of 20 to 150 runs with 0.2 to 0.6 % noise, drawn from besiroglu_2024, hoffmann_2022_tex, or the former's terms
coupled with gamma 0.5: IsoFLOP grids, sizes at several ratios of tokens to parameters, and free designs. They have no
columns but N, D, FLOPs and the loss, unless the problem is about another column.
"""

from __future__ import annotations

import argparse
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from coverage import KINDS, grid, ladder, truths
from foretoken.checks import diagnose
from foretoken.laws import CHINCHILLA, COUPLED, PUBLISHED
from foretoken.runs.table import RunTable

Generator = np.random.Generator
Maker = Callable[[Generator], RunTable]
Plant = Callable[[pd.DataFrame, Generator], pd.DataFrame]
BESIROGLU = PUBLISHED["besiroglu_2024"].parameters
LAWS = (
    (CHINCHILLA, BESIROGLU),
    (CHINCHILLA, PUBLISHED["hoffmann_2022_tex"].parameters),
    (COUPLED, {**BESIROGLU, "gamma": 0.5}),
)


def ratio_ladder(generator: Generator) -> RunTable:
    """8 sizes at 5 ratios of tokens to parameters, noise of 0.4 %."""
    n, ratio = np.repeat(np.geomspace(1e7, 1e9, 8), 5), np.tile([5.0, 10.0, 20.0, 40.0, 80.0], 8)
    loss = CHINCHILLA.evaluate(BESIROGLU, params=n, tokens=ratio * n)
    noisy = loss * np.exp(0.004 * generator.standard_normal(len(n)))
    frame = pd.DataFrame({"params_total": n, "tokens": ratio * n, "flops": 6 * ratio * n**2, "loss": noisy})
    return RunTable(frame, "simulated")


def study_ladder(generator: Generator) -> RunTable:
    """A small study's ladder."""
    return ladder(truths(generator)["chinchilla"], generator)[0]


def isoflop_grid(kind: str) -> Maker:
    """A grid with one kind of noise."""
    return lambda generator: grid(generator, kind)[0]


def isoflop_design(generator: Generator, law: int) -> tuple[np.ndarray, np.ndarray]:
    """4 to 12 budgets over 1.5 to 4 decades, 5 to 12 sizes a factor 1.3 to 2 apart around N*."""
    form, parameters = LAWS[law]
    assert form.optimum is not None
    first, decades = generator.uniform(17, 19), generator.uniform(1.5, 4)
    flops = np.logspace(first, first + decades, generator.integers(4, 13))
    steps = np.arange(sizes := generator.integers(5, 13)) - (sizes - 1) / 2
    n = np.ravel(form.optimum(parameters, flops)[0][:, None] * generator.uniform(1.3, 2.0) ** steps)
    return n, np.repeat(flops, sizes) / 6 / n


def ratio_design(generator: Generator, law: int) -> tuple[np.ndarray, np.ndarray]:
    """5 to 12 sizes over 1.5 to 2.5 decades at 4 to 12 ratios between 2 and 200 tokens per parameter."""
    first = generator.uniform(6.5, 7.5)
    n = np.logspace(first, first + generator.uniform(1.5, 2.5), generator.integers(5, 13))
    ratio = np.geomspace(generator.uniform(2, 8), generator.uniform(60, 200), generator.integers(4, 13))
    return np.repeat(n, len(ratio)), np.ravel(n[:, None] * ratio)


def free_design(generator: Generator, law: int) -> tuple[np.ndarray, np.ndarray]:
    """20 to 150 sizes and ratios as they come."""
    runs = generator.integers(20, 151)
    n = 10 ** generator.uniform(7, generator.uniform(8.7, 9.7), runs)
    return n, n * 10 ** generator.uniform(0.3, 2.3, runs)


DESIGNS = {"grid": isoflop_design, "ratios": ratio_design, "free": free_design}


def clean(generator: Generator, number: int = 0) -> pd.DataFrame:
    """A table that follows one of the laws; design and law go by its number, the rest is drawn."""
    design, law = list(DESIGNS.values())[number % 3], (number // 3) % 3
    n, d = design(generator, law)
    form, parameters = LAWS[law]
    noise = np.exp(generator.uniform(0.002, 0.006) * generator.standard_normal(len(n)))
    loss = form.evaluate(parameters, params=n, tokens=d) * noise
    frame = pd.DataFrame({"params_total": n, "tokens": d, "flops": 6 * n * d, "loss": loss})
    return frame.iloc[np.sort(generator.permutation(len(n))[:150])].reset_index(drop=True)


def times(frame: pd.DataFrame, factor: np.ndarray | pd.Series, rows: object = slice(None)) -> pd.DataFrame:
    """The losses of some rows times a factor."""
    by = np.ones(len(frame))
    by[rows] = np.broadcast_to(factor, len(frame))[rows]
    return frame.assign(loss=frame["loss"] * by)


def some(frame: pd.DataFrame, generator: Generator, count: int) -> np.ndarray:
    """Numbers of rows."""
    return generator.choice(len(frame), count, replace=False)


def cluster(share: float) -> Plant:
    """Rows that lie 1 to 3 % above the others."""
    return lambda f, g: times(f, 1 + g.uniform(0.01, 0.03), some(f, g, round(share * len(f))))


def by_thousands(name: str, *, flops: str) -> Plant:
    """A count in thousands, millions or billions; FLOPs as they are, computed from it, or left out."""

    def plant(frame: pd.DataFrame, generator: Generator) -> pd.DataFrame:
        spoiled = frame.assign(**{name: frame[name] / generator.choice([1e3, 1e6, 1e9])})
        if flops == "computed":
            return spoiled.assign(flops=6 * spoiled["params_total"] * spoiled["tokens"])
        return spoiled if flops == "recorded" else spoiled.drop(columns="flops")

    return plant


def drifting_rate(frame: pd.DataFrame, generator: Generator) -> pd.DataFrame:
    """A learning rate tuned at the smallest sizes: 1 to 2 % too much at ten times that size, as the square of ln N."""
    n = frame["params_total"]
    tuned = np.quantile(n, generator.uniform(0.0, 0.3))
    return times(frame, 1 + generator.uniform(0.01, 0.02) * np.maximum(0, np.log10(n / tuned)) ** 2)


def warmed_up(frame: pd.DataFrame, generator: Generator) -> pd.DataFrame:
    """A warm-up that costs 3 to 8 % of the loss of the shortest run, and less as 1 / D."""
    return times(frame, 1 + generator.uniform(0.03, 0.08) * frame["tokens"].min() / frame["tokens"])


def broken(frame: pd.DataFrame, generator: Generator) -> pd.DataFrame:
    """A slope in C that changes by 0.01 to 0.03 somewhere in the middle."""
    flops = frame["flops"]
    at = np.exp(np.quantile(np.log(flops), generator.uniform(0.4, 0.7)))
    return times(frame, np.maximum(1, flops / at) ** (generator.choice([-1, 1]) * generator.uniform(0.01, 0.03)))


def checkpoints(frame: pd.DataFrame, generator: Generator) -> pd.DataFrame:
    """6 to 10 points of each of up to 12 trajectories, evenly spaced, each under a name of its own."""
    few = frame.sample(min(12, len(frame)), random_state=generator)
    share = np.arange(1, points := generator.integers(6, 11)) / points
    on_way = [
        few.assign(tokens=few["tokens"] * s, flops=few["flops"] * s, loss=few["loss"] * s**-0.06) for s in [*share, 1.0]
    ]
    rows = pd.concat(on_way, ignore_index=True)
    rows = times(rows, np.exp(0.0005 * generator.standard_normal(len(rows))))
    return rows.assign(run=[f"run-{i}" for i in range(len(rows))])


def shared_error(frame: pd.DataFrame, generator: Generator) -> pd.DataFrame:
    """An error of 1 % that the runs of a budget share."""
    labels = np.unique(np.round(np.log(frame["flops"]), 2), return_inverse=True)[1]
    return times(frame, np.exp(0.01 * generator.standard_normal(labels.max() + 1)[labels]))


def outliers(count: int, low: float, high: float) -> Plant:
    """Some rows that lie above the others by these shares."""
    return lambda f, g: times(f, 1 + g.uniform(low, high, len(f)), some(f, g, count))


def repeated(frame: pd.DataFrame, generator: Generator) -> pd.DataFrame:
    """Each run on the same tokens, those of a quarter of the longest run."""
    return frame.assign(unique_tokens=np.minimum(frame["tokens"], frame["tokens"].max() / 4))


def without_embedding(frame: pd.DataFrame, generator: Generator) -> pd.DataFrame:
    """N without an embedding that is 30 to 60 % of 10 million parameters and less of more; FLOPs count it."""
    share = generator.uniform(0.3, 0.6) * np.minimum(1, (frame["params_total"] / 1e7) ** -0.4)
    return frame.assign(params_total=(1 - share) * frame["params_total"])


def in_some(frame: pd.DataFrame, generator: Generator, name: str, factor: float) -> pd.DataFrame:
    """A third of the rows with another unit."""
    here = np.isin(np.arange(len(frame)), some(frame, generator, len(frame) // 3))
    return frame.assign(**{name: np.where(here, factor, 1.0) * frame[name]})


@dataclass(frozen=True)
class Planted:
    """One kind of problem."""

    plant: Plant
    codes: frozenset[str]
    """Any of these names it."""
    design: str = ""
    """The design that it needs."""


def planted(plant: Plant, *codes: str, design: str = "") -> Planted:
    """A problem and the codes that name it."""
    return Planted(plant, frozenset(codes), design)


UNITS = ("units_doubtful", "flops_inconsistent")
PLANTED: dict[str, Planted] = {
    "cluster of a third": planted(cluster(1 / 3), "offset_rows"),
    "cluster of a sixth": planted(cluster(1 / 6), "offset_rows"),
    "N and D exchanged": planted(
        lambda f, g: f.rename(columns={"params_total": "tokens", "tokens": "params_total"}), "exchanged_counts"
    ),
    "FLOPs are 2 N D": planted(lambda f, g: f.assign(flops=f["flops"] / 3), "flops_inconsistent"),
    "FLOPs by a constant": planted(
        lambda f, g: f.assign(flops=f["flops"] * g.choice([0.1, 0.5, 1.5, 4.0, 1e3])), "flops_inconsistent"
    ),
    "FLOPs of two kinds": planted(lambda f, g: in_some(f, g, "flops", 1 / 3), "flops_inconsistent"),
    "N by thousands, FLOPs right": planted(by_thousands("params_total", flops="recorded"), *UNITS),
    "N by thousands, FLOPs too": planted(by_thousands("params_total", flops="computed"), *UNITS),
    "N by thousands, no FLOPs": planted(by_thousands("params_total", flops="absent"), *UNITS),
    "D by thousands, FLOPs right": planted(by_thousands("tokens", flops="recorded"), *UNITS),
    "D by thousands, FLOPs too": planted(by_thousands("tokens", flops="computed"), *UNITS, "exchanged_counts"),
    "N by thousands in some rows": planted(lambda f, g: in_some(f, g, "params_total", 1e-3), *UNITS),
    "learning rate for small sizes": planted(drifting_rate, "rate_drifts_with_size"),
    "warm-up in short runs": planted(warmed_up, "short_runs_above"),
    "losses with 2 digits": planted(lambda f, g: f.assign(loss=f["loss"].round(2)), "rounded_losses"),
    "slope that changes": planted(broken, "slope_changes", "residual_trend", "smallest_runs_matter"),
    "checkpoints under many names": planted(checkpoints, "undeclared_trajectories"),
    "error of a budget": planted(shared_error, "error_by_budget", design="grid"),
    "more distinct than seen": planted(
        lambda f, g: f.assign(unique_tokens=f["tokens"] * g.uniform(1.0, 3.0, len(f))), "more_unique_than_seen"
    ),
    "one diverged run": planted(outliers(1, 0.1, 1.0), "outlying_runs"),
    "two outliers": planted(outliers(2, 0.04, 0.1), "outlying_runs"),
    "four outliers": planted(outliers(4, 0.04, 0.1), "outlying_runs", "offset_rows"),
    "duplicates": planted(lambda f, g: pd.concat([f, f.tail(3)], ignore_index=True), "duplicated_rows"),
    "missing as zero": planted(
        lambda f, g: f.assign(loss=np.where(np.arange(len(f)) == 3, 0.0, f["loss"])), "missing_as_zero"
    ),
    "losses in perplexity": planted(lambda f, g: f.assign(loss=np.exp(f["loss"])), "loss_in_perplexity"),
    "losses in bits, vocabulary": planted(
        lambda f, g: f.assign(loss=f["loss"] / np.log(2), nats=f["loss"]), "loss_in_bits"
    ),
    "mixed tokenizers": planted(
        lambda f, g: f.assign(tokenizer=np.where(np.arange(len(f)) % 2, "a", "b")), "mixed_tokenizers"
    ),
    "repeated data": planted(repeated, "repeated_tokens"),
    "embeddings not counted": planted(without_embedding, "flops_change_with_size"),
    "one size": planted(lambda f, g: f.assign(params_total=1e8), "one_size"),
    "D as a power of N": planted(lambda f, g: f.assign(tokens=20 * f["params_total"]), "collinear"),
    "losses of other rows": planted(
        lambda f, g: f.assign(loss=g.permutation(f["loss"].to_numpy())), "little_explained"
    ),
}  # fmt: skip


def clean_table(generator: Generator) -> RunTable:
    """One of the tables that problems are planted in."""
    return RunTable(clean(generator, int(generator.integers(9))), "simulated")


MAKERS: dict[str, Maker] = {
    **{f"grid, {kind}": isoflop_grid(kind) for kind in KINDS},
    "ladder of ratios": ratio_ladder,
    "study ladder": study_ladder,
    "as planted in": clean_table,
}


def show_alarms(tables: int, seed: int) -> None:
    """Print how many clean tables are doubted, and by what; then notes that few tables are told."""
    for name, make in MAKERS.items():
        codes: Counter[str] = Counter()
        notes: Counter[str] = Counter()
        alarmed = 0
        for number in range(tables):
            checks = diagnose(make(np.random.default_rng([seed, number]))).checks
            doubts = {check.code for check in checks if check.severity != "note"}
            codes.update(doubts)
            notes.update({check.code for check in checks if check.severity == "note"})
            alarmed += bool(doubts)
        told = ", ".join(f"{code} {count}" for code, count in codes.most_common())
        print(f"{name:24s} {alarmed:4d} of {tables} tables with a doubt: {told or 'none'}", flush=True)
        print(f"{'':24s} notes: {', '.join(f'{code} {count}' for code, count in notes.most_common())}", flush=True)


def show_planted(tables: int, seed: int, only: str) -> None:
    """Print how often each problem is named, and what else is said of such tables."""
    for name, kind in PLANTED.items():
        if only and only not in name:
            continue
        found, others = 0, Counter[str]()
        for number in range(tables):
            generator = np.random.default_rng([seed, number])
            place = 3 * (number % 3) + list(DESIGNS).index(kind.design) if kind.design else number
            frame = kind.plant(clean(generator, place), generator)
            codes = {check.code for check in diagnose(RunTable(frame, "simulated")).checks}
            found += bool(codes & kind.codes)
            others.update(codes - kind.codes)
        told = ", ".join(f"{code} {count}" for code, count in others.most_common(6))
        print(f"{name:30s} {found:3d} of {tables}; also {told}", flush=True)


def main() -> None:
    """Read the options and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--planted", action="store_true")
    parser.add_argument("--only", default="", help="kinds with this in their names")
    options = parser.parse_args()
    warnings.simplefilter("ignore", RuntimeWarning)
    if options.planted:
        show_planted(options.tables or 20, options.seed, options.only)
    else:
        show_alarms(options.tables or 100, options.seed)


if __name__ == "__main__":
    main()
