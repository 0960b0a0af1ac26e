"""Thousands of hostile inputs of every kind: none may end in a traceback, hang, or touch what lies outside its folder.

    python benchmarks/fuzz.py --examples 6000 --seed 0

The process may have 4 GiB of memory, bombs included. Prints a line per kind, then every defect with its number of times
and one input that shows it; exits with 1 when there is one. A search, not a proof: another seed tries others.
"""

from __future__ import annotations

import argparse
import faulthandler
import random
import resource
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fuzz.inputs import KINDS, Kind
from fuzz.watch import LIMIT_SECONDS, Outcome, watched

ROUND = 500
"""Examples of one search; each round has a seed of its own."""
HEADS = ("inputs", "refused", "accepted", "tracebacks", "hangs", "outside", "slowest s")


def campaign(kind: Kind, inputs: int, seed: int) -> list[Outcome]:
    """The outcomes of so many inputs of a kind."""
    outcomes: list[Outcome] = []
    seeds = random.Random(seed)
    with tempfile.TemporaryDirectory() as parent:
        while len(outcomes) < inputs:

            @seeded(seeds.getrandbits(32))
            @settings(
                max_examples=min(ROUND, inputs - len(outcomes)),
                database=None,
                deadline=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(kind.strategy)
            def one(drawn: Any) -> None:
                faulthandler.dump_traceback_later(12 * LIMIT_SECONDS, exit=True)
                outcome = watched(lambda folder: kind.act(drawn, folder), Path(parent))
                if outcome.bad:
                    outcome.shown_by = repr(drawn)
                outcomes.append(outcome)

            one()
            faulthandler.cancel_dump_traceback_later()
    return outcomes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--gib", type=float, default=4.0, help="memory of the process, in GiB")
    parser.add_argument("--kind", action="append", choices=list(KINDS))
    chosen = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (int(chosen.gib * 2**30),) * 2)
    kinds = {name: KINDS[name] for name in chosen.kind or KINDS}
    whole = sum(kind.share for kind in kinds.values())
    print(f"{'kind':16}" + "".join(f"{head:>11}" for head in HEADS))
    everything: list[Outcome] = []
    defects: Counter[str] = Counter()
    shown_by: dict[str, str] = {}
    for name, kind in kinds.items():
        outcomes = campaign(kind, round(chosen.examples * kind.share / whole), chosen.seed)
        for outcome in filter(lambda outcome: outcome.bad, outcomes):
            defect = f"{name}: {outcome.verdict}: {outcome.detail[:300]}"
            defects[defect] += 1
            shown_by.setdefault(defect, outcome.shown_by)
        everything += outcomes
        print(line(name, outcomes), flush=True)
    print(line("all", everything))
    print(f"largest memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")
    for defect, times in defects.most_common():
        print(f"{times} x {defect}\n    {shown_by[defect][:2000]}")
    return int(bool(defects))


def line(name: str, outcomes: list[Outcome]) -> str:
    """A row of the table."""
    counts = Counter(outcome.verdict for outcome in outcomes)
    slowest = max((outcome.seconds for outcome in outcomes), default=0.0)
    told = [len(outcomes), *(counts[word] for word in ("refused", "accepted", "traceback", "hang", "outside"))]
    return f"{name:16}" + "".join(f"{number:11}" for number in told) + f"{slowest:11.2f}"


if __name__ == "__main__":
    sys.exit(main())
