"""A study on a machine with other work: what it loses against its fair share of the processors.

usage: python benchmarks/busy.py [--foreign 0 1 2 4] [--rounds 3] [--limit 600] [--step-only | --after-only]

Beside so many foreign processes that spin, each in a session of its own, measures by turns, and prints medians:

    ladder    tokens/s of one process per core with one thread each, all together
    before    tokens/s of the target with a thread per core that waits as torch comes: spinning
    after     ... with what a study chooses now: one thread or all, which spin or sleep by what else the machine does
    study     seconds of a whole small study (ladder, fit, target, page), before and after

A ratio is the time over that of the fair share: the quiet machine's, times (cores + foreign) / cores. What else runs on
the machine counts as foreign too: the load is printed, and numbers of a machine that is not alone are to be read so.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from foretoken.compute.hardware import available_cores
from foretoken.launchers import Job, LocalLauncher
from foretoken.launchers.jobs import COMPARE_THREADS, ThreadsJob, ThreadSpeed
from foretoken.runs.spec import RunSpec
from foretoken.runs.study_file import load_study
from foretoken.study.runner import StudyRunner

SPINNING = {"GOMP_SPINCOUNT": "300000"}
"""As libgomp waits where nobody says anything."""
STUDY = """
name = "busy"
[corpus]
source = "zipf_markov"
language = { symbols = 32, tokens = 400_000 }
repeat = true
[model]
preset = "llama"
tied = true
context = 32
width_per_layer = 12
[training]
batch_tokens = { value = 512 }
eval_tokens = 8192
[design]
kind = "ladder"
params = ["6k", "10k", "16k", "24k"]
tokens_per_param = [10, 20, 30]
[target]
compute_factor = 4
"""


@contextmanager
def foreign(count: int) -> Iterator[None]:
    """So many processes that spin."""
    # Only as long as this process lives, however it ends.
    command = [sys.executable, "-c", f"import os\nwhile os.getppid() == {os.getpid()}: pass"]
    spinning = [subprocess.Popen(command, start_new_session=True) for _ in range(count)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


@contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """What workers that start meanwhile find in their environment."""
    os.environ.update(values)
    try:
        yield
    finally:
        for name in values:
            del os.environ[name]


def speeds(spec: RunSpec, threads: list[int], log: Path) -> dict[int, float]:
    """Tokens per second of a run with each number of threads, in a worker of its own."""
    launcher, job = LocalLauncher(), Job("a", ThreadsJob(spec, threads).to_json(), 0.0)
    (outcome,) = launcher.launch(COMPARE_THREADS, [job], workers=1, threads=max(threads), log=log)
    launcher.close()
    if outcome.error:
        raise RuntimeError(outcome.error)
    return {one.threads: one.tokens_per_second for one in map(ThreadSpeed.from_json, outcome.result_json)}


def ladder(spec: RunSpec, cores: int, log: Path) -> float:
    """Tokens per second of a process per core, together."""
    with ThreadPoolExecutor(cores) as pool:
        return sum(one[1] for one in pool.map(lambda _: speeds(spec, [1], log), range(cores)))


def study_seconds(home: Path, before: bool, cores: int, limit: float) -> float:
    """Seconds of a whole study; the limit where it takes longer, and is ended."""
    study = home / "busy.toml"
    study.write_text(STUDY + (f"[launch]\ntarget_threads = {cores}\n" if before else ""))
    command = [sys.executable, "-m", "foretoken", "run", str(study), "-q", "--folder"]
    with tempfile.TemporaryDirectory(dir=home) as folder:
        began = time.perf_counter()
        values = {**os.environ, **(SPINNING if before else {})}
        with subprocess.Popen([*command, f"{folder}/busy"], env=values, stdout=subprocess.DEVNULL) as driver:
            try:
                driver.wait(limit)
            except subprocess.TimeoutExpired:
                driver.kill()
        return time.perf_counter() - began


def measure(spec: RunSpec, home: Path, options: argparse.Namespace) -> dict[tuple[int, str], list[float]]:
    """Every measure beside each number of foreign processes, by turns."""
    cores, log, found = available_cores(), home / "log.txt", defaultdict(list)
    for _ in range(options.rounds):
        for count in options.foreign:
            with foreign(count):
                found[count, "ladder"].append(ladder(spec, cores, log))
                with environment(SPINNING):
                    found[count, "before"].append(speeds(spec, [cores], log)[cores])
                found[count, "after"].append(max(speeds(spec, sorted({1, cores}), log).values()))
                if not options.step_only:
                    if not options.after_only:
                        found[count, "study before"].append(study_seconds(home, True, cores, options.limit))
                    found[count, "study after"].append(study_seconds(home, False, cores, options.limit))
            print(f"load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--foreign", type=int, nargs="+", default=[0, 1, 2, 4])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=float, default=600.0, help="seconds after which a study is ended")
    parser.add_argument("--step-only", action="store_true", help="speeds of steps alone, no studies")
    parser.add_argument("--after-only", action="store_true", help="no studies as they were before")
    options = parser.parse_args()
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        os.environ.pop(name, None)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "busy.toml").write_text(STUDY)
        runner = StudyRunner(load_study(home / "busy.toml"), home / "planned" / "busy")
        with runner.owned():
            target = runner.design().target
        found = measure(target, home, options)
    cores, quiet = available_cores(), min(options.foreign)
    print(f"{cores} cores, target of {target.parameters.total:,} parameters, {options.rounds} rounds, medians")
    print(f"{'':14}" + "".join(f"{f'{count} foreign':>22}" for count in options.foreign))
    for name in dict.fromkeys(name for _, name in found):
        # The reference of both is what the quiet machine gives now.
        base = statistics.median(found[quiet, re.sub("before", "after", name)])
        cells = []
        for count in options.foreign:
            value, share = statistics.median(found[count, name]), (cores + count) / (cores + quiet)
            ratio = value / base / share if "study" in name else base / value / share
            cells.append(f"{value:,.0f} ({ratio:.2f})")
        print(f"{name:14}" + "".join(f"{cell:>22}" for cell in cells))
    print("in brackets: the time over that of the fair share")


if __name__ == "__main__":
    main()
