"""Folders with many runs: how long the verbs that read them take, and how large their page is.

usage: python benchmarks/large.py [--status 10000] [--design 1000] [--page 500]

Makes studies of so many runs with invented losses, trains nothing, and times `status`, `design` after its calibration,
`run --dry-run` and `report` as processes of their own, so that starting Python counts.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from foretoken.runs.record import CurvePoint, RunRecord
from foretoken.runs.spec import RunSpec
from foretoken.runs.study_file import load_study
from foretoken.store.store import Store
from foretoken.study.runner import StudyRunner

STUDY = """
name = "{name}"
[corpus]
source = "zipf_markov"
language = {{ symbols = 32, tokens = 400_000 }}
repeat = true
[model]
context = 32
tied = true
[training]
batch_tokens = {{ value = 512 }}
eval_tokens = 4096
[design]
kind = "runs"
runs = [
{runs}
]
[target]
compute_factor = 4
[launch]
workers = 1
target_threads = 1
"""
SIZES, LENGTHS, CURVE_POINTS = 10, 10, 100


def study_file(folder: Path, name: str, count: int) -> Path:
    """A study of so many runs: ten sizes, ten lengths, and as many seeds as it takes."""
    seeds = count // (SIZES * LENGTHS)
    pairs = [(2e4 * 1.6**size, 2e5 * 1.5**length) for size in range(SIZES) for length in range(LENGTHS)]
    rows = [f"  {{ params = {params:.0f}, tokens = {tokens:.0f}, seeds = {seeds} }}," for params, tokens in pairs]
    path = folder / f"{name}.toml"
    path.write_text(STUDY.format(name=name, runs="\n".join(rows)))
    return path


def invent(spec: RunSpec, noise: float) -> RunRecord:
    """A record as training would leave it, of a loss by a law."""
    loss = 1.2 + 20 * spec.parameters.total**-0.4 + 60 * spec.tokens**-0.4 + noise
    steps = np.linspace(1, spec.steps, CURVE_POINTS).astype(int)
    curve = tuple(CurvePoint(float(step * spec.batch_tokens), loss * (1 + 1 / step)) for step in steps)
    return RunRecord(spec=spec, status="finished", loss=loss, loss_se=0.01, curve=curve, seconds=1.0, parent=spec.trunk)


def make(study: Path, records: bool) -> int:
    """The study's folder with its design, its calibration, and a record of each run; gives the number of runs."""
    runner = StudyRunner(load_study(study), study.parent / "runs" / study.stem)
    rng = np.random.default_rng(0)
    with runner.owned():
        design = runner.design()
        store = Store(runner.folder)
        for spec in design.runs if records else []:
            store.put_record(invent(spec, 0.003 * rng.standard_normal()))
        store.seal_records()
    return len(design.runs)


def timed(folder: Path, *arguments: str) -> float:
    """Seconds of a verb, the shortest of three."""
    took = []
    for _ in range(3):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "foretoken", *arguments], cwd=folder, check=True, capture_output=True)
        took.append(time.perf_counter() - began)
    return min(took)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, count in (("status", 10_000), ("design", 1000), ("page", 500)):
        parser.add_argument(f"--{name}", type=int, default=count)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent)
        for name, most, verbs in (
            ("status", options.status, [("status", 2.0), ("run --dry-run", 2.0)]),
            ("design", options.design, [("design", 3.0), ("status", 2.0), ("run --dry-run", 2.0)]),
            ("page", options.page, [("report", 0.0)]),
        ):
            study = study_file(folder, name, most)
            count = make(study, records=name != "design")
            if name == "design":
                subprocess.run([sys.executable, "-m", "foretoken", "design", study.name], cwd=folder, check=True)
            for verb, limit in verbs:
                first, *rest = verb.split()
                seconds = timed(folder, first, study.name, *rest, *(["--json"] if verb != "report" else []))
                print(
                    f"{verb:14}{count:>7} runs {seconds:7.2f} s" + (f" (at most {limit:g})" if limit else ""),
                    flush=True,
                )
        page = folder / "runs" / "page" / "report" / "index.html"
        print(f"page of {count} runs: {page.stat().st_size / 1e6:.2f} MB (at most 5)")


if __name__ == "__main__":
    main()
