"""Faults at every place: what they leave behind.

    python benchmarks/faults.py sweep --fault kill          a fault at the Nth operation of the door, N = 1, 2, ...
    python benchmarks/faults.py machines                    the machine lost at the Nth; its bucket goes on elsewhere
    python benchmarks/faults.py kills --count 50 --seed 0   kill -9 of worker, driver and group
    python benchmarks/faults.py drivers --times 20          8 drivers released at once onto one study
    python benchmarks/faults.py commands                    the same once, through the command line
    python benchmarks/faults.py frozen                      driver, group or worker stopped, and woken too late
    python benchmarks/faults.py mixed --rounds 30           clock, disk, folder and processes, by turns, in one study

Each exits with 1 when something was lost, left over, or not told.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from faults import drivers, kills, mixed, tiny
from faults.elsewhere import machine_lost, quick
from faults.shim import KINDS
from faults.sweep import Trial, cleared, trial, undisturbed

TELL_SECONDS = 15.0


def sweep(arguments: argparse.Namespace) -> int:
    """Count N up until the study passes without reaching it."""
    with tempfile.TemporaryDirectory() as parent, tiny.in_process():
        home = Path(parent)
        expected = undisturbed(cleared(home / "undisturbed"))
        print(f"{expected.operations} operations in the undisturbed study", flush=True)
        trials, told = [], time.monotonic()
        for at in range(arguments.first, arguments.last + 1, arguments.stride):
            with quick():
                result = arguments.trial(cleared(home / "study"), arguments.fault, at, expected)
            if not result.reached:
                break
            trials.append(result)
            if result.wrong:
                print(f"N = {at}, {result.first}: " + "\n  ".join(result.wrong), flush=True)
            if time.monotonic() - told > TELL_SECONDS:
                told = time.monotonic()
                print(f"  N = {at}", flush=True)
    return _tell_sweep(arguments.fault, trials)


def _tell_sweep(fault: str, trials: list[Trial]) -> int:
    wrong = [trial for trial in trials if trial.wrong]
    ends = Counter(trial.first for trial in trials)
    print(f"{'fault':14}{'N tried':>16}  {'disturbed runs':36}{'wrong afterwards':>16}")
    span = f"{trials[0].at} to {trials[-1].at}" if trials else "none"
    how = ", ".join(f"{count} {end}" for end, count in ends.items())
    print(f"{fault:14}{f'{len(trials)} ({span})':>16}  {how:36}{len(wrong):>16}")
    return 1 if wrong else 0


def kill(arguments: argparse.Namespace) -> int:
    """Kill real studies by a random plan."""
    order = random.Random(arguments.seed)
    plan = kills.plan(arguments.count, arguments.steps, arguments.checkpoints, arguments.cooldowns, order)
    with tempfile.TemporaryDirectory() as parent:
        campaign = kills.Campaign(Path(parent) / "kills", order, _digest(Path(parent)))
        campaign.run(plan)
    print(f"{'killed':10}" + "".join(f"{place:>12}" for place in kills.PLACES))
    done = Counter(campaign.kills)
    for victim in kills.VICTIMS:
        print(f"{victim:10}" + "".join(f"{done[victim, place]:>12}" for place in kills.PLACES))
    print(f"{len(campaign.kills)} kills in {campaign.studies} studies; {len(campaign.wrong)} things wrong afterwards")
    print(f"longest time that a worker outlived its driver: {campaign.slowest_end:.3f} s")
    print("\n".join(campaign.wrong))
    return 1 if campaign.wrong else 0


def mix(arguments: argparse.Namespace) -> int:
    """Faults of several kinds, one after another, in one study."""
    order = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as parent:
        digest, score = mixed.undisturbed(Path(parent) / "undisturbed")
        campaign = mixed.Mixed(Path(parent) / "mixed", order, digest, score=score)
        for number, kind in enumerate(mixed.plan(arguments.rounds, order), 1):
            campaign.round(kind)
            print(f"{number:3}  {kind:16}{len(campaign.wrong)} things wrong so far", flush=True)
        campaign.end()
    print(", ".join(f"{kind} {count}" for kind, count in campaign.rounds.items()))
    print(f"{sum(campaign.rounds.values())} rounds; {len(campaign.wrong)} things wrong afterwards")
    print("\n".join(campaign.wrong))
    return 1 if campaign.wrong else 0


def _digest(parent: Path) -> str:
    """Of the undisturbed table."""
    with tiny.in_process():
        return undisturbed(cleared(parent / "undisturbed")).digest


def freeze(arguments: argparse.Namespace) -> int:
    """Stop the processes of a study, let another finish it, and wake them."""
    wrong = []
    with tempfile.TemporaryDirectory() as parent:
        digest = _digest(Path(parent))
        for who in ("driver", "group", "worker"):
            for time_ in range(arguments.times):
                campaign = kills.Campaign(Path(parent) / f"{who}{time_}", random.Random(time_), digest)
                wrong += kills.freeze(campaign, who)
            print(f"{who} stopped {arguments.times} times: {len(wrong)} things wrong so far", flush=True)
    print("\n".join(wrong))
    return 1 if wrong else 0


def command_line(arguments: argparse.Namespace) -> int:
    """Start the command several times at once."""
    with tempfile.TemporaryDirectory() as parent:
        campaign = kills.Campaign(Path(parent) / "study", random.Random(0), _digest(Path(parent)))
        started = [subprocess.Popen(campaign.command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
                   for _ in range(arguments.drivers)]  # fmt: skip
        told = [process.communicate()[1] for process in started]
    codes = Counter(process.returncode for process in started)
    owner = next(process.pid for process in started if process.returncode == 0)
    named = sum(f"got: pid {owner} on " in text for text in told)
    print(f"exit codes {dict(codes)}; {named} of the others name the owner's process")
    return 0 if codes == {0: 1, 2: arguments.drivers - 1} and named == arguments.drivers - 1 else 1


def drive(arguments: argparse.Namespace) -> int:
    """Release drivers onto one study."""
    wrong = []
    with tempfile.TemporaryDirectory() as parent, tiny.in_process():
        undisturbed(cleared(Path(parent) / "first"))
        for name, contend in drivers.VARIANTS.items():
            found = [contend(Path(parent) / f"{name}{n}" / "tiny", arguments.drivers) for n in range(arguments.times)]
            good = sum(not one for one in found)
            print(f"{name:14} {arguments.drivers} drivers, {arguments.times} times: one owner {good} times", flush=True)
            wrong += [text for one in found for text in one]
    print("\n".join(wrong))
    return 1 if wrong else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)
    verb = verbs.add_parser("sweep")
    verb.add_argument("--fault", choices=KINDS, required=True)
    verb.set_defaults(do=sweep, trial=trial)
    lost = verbs.add_parser("machines")
    lost.set_defaults(do=sweep, fault="kill", trial=lambda home, _, at, expected: machine_lost(home, at, expected))
    for one in (verb, lost):
        one.add_argument("--stride", type=int, default=1)
        one.add_argument("--first", type=int, default=1)
        one.add_argument("--last", type=int, default=sys.maxsize)
    verb = verbs.add_parser("kills")
    verb.add_argument("--count", type=int, default=50)
    verb.add_argument("--steps", type=int, default=24)
    verb.add_argument("--checkpoints", type=int, default=6)
    verb.add_argument("--cooldowns", type=int, default=6)
    verb.add_argument("--seed", type=int, default=0)
    verb.set_defaults(do=kill)
    verb = verbs.add_parser("mixed")
    verb.add_argument("--rounds", type=int, default=30)
    verb.add_argument("--seed", type=int, default=0)
    verb.set_defaults(do=mix)
    verb = verbs.add_parser("frozen")
    verb.add_argument("--times", type=int, default=1)
    verb.set_defaults(do=freeze)
    verb = verbs.add_parser("commands")
    verb.add_argument("--drivers", type=int, default=8)
    verb.set_defaults(do=command_line)
    verb = verbs.add_parser("drivers")
    verb.add_argument("--drivers", type=int, default=8)
    verb.add_argument("--times", type=int, default=20)
    verb.set_defaults(do=drive)
    arguments = parser.parse_args()
    result: int = arguments.do(arguments)
    return result


if __name__ == "__main__":
    sys.exit(main())
