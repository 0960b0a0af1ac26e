"""The ladders of studies/families side by side: exponents with intervals, forecasts, and loss by place in the sequence.

usage: python benchmarks/family_ladders.py [--runs runs]      after `foretoken run studies/families/NAME.toml` of each

Exponents are those of the law that each study's forecast is made with (coupled), of Chinchilla's form, and of the best
size over compute by parabolas. Losses are told only beside losses of the same objective.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from foretoken import fits
from foretoken.errors import ForetokenError
from foretoken.reports.study_results import TARGET, StudyResults
from foretoken.runs.record import RunRecord
from foretoken.study.results import gather


def ranged(value: float | None, interval: Sequence[float] | None) -> str:
    """A number with its interval."""
    if value is None or interval is None:
        return "not given"
    return f"{value:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]"


def parameter(fit: fits.Fit | None, name: str) -> str:
    """A parameter of a fit with its interval, and what is doubtful about the fit."""
    if fit is None:
        return "not given"
    return ranged(fit.parameters.get(name), fit.intervals.get(name))


def exponents(study: StudyResults) -> list[str]:
    """One study's row."""
    best = study.isoflop
    slope = ranged(best.params_exponent, best.params_exponent_interval) if best is not None else "not given"
    told, outcome = study.forecast, study.outcome
    forecast = f"{told.loss:.3f} [{told.low:.3f}, {told.high:.3f}]" if told else study.refusal or "none"
    scored = f"{outcome.loss:.3f} ({100 * outcome.error:+.1f} %)" if outcome else "none"
    fit = study.approach3
    return [
        study.name.removeprefix("family_"), study.records[0].spec.objective.kind, parameter(study.fit, "alpha"),
        parameter(study.fit, "beta"), parameter(fit, "alpha"), parameter(fit, "beta"), slope, forecast, scored,
    ]  # fmt: skip


def places(studies: list[StudyResults]) -> None:
    """Loss by place of the targets that have it."""
    found = {
        study.name.removeprefix("family_"): record
        for study in studies
        for record in study.records
        if record.spec.group == TARGET and record.by_position
    }
    lengths = {len(record.by_position) for record in found.values()}
    for length in sorted(lengths):
        places_of({name: record for name, record in found.items() if len(record.by_position) == length})


def places_of(found: dict[str, RunRecord]) -> None:
    """A table of sequences of one length."""
    print("\nloss by place in the sequence, targets\n| places | " + " | ".join(found) + " |")
    for row in zip(*(record.by_position for record in found.values()), strict=True):
        print(f"| {row[0][0]:.0f}-{row[0][1]:.0f} | " + " | ".join(f"{each[2]:.4f}" for each in row) + " |")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    studies = []
    for folder in sorted(parser.parse_args().runs.glob("family_*")):
        try:
            studies.append(gather(folder))
        except ForetokenError as error:
            print(f"{folder}: {error}")
    headers = ["family", "objective", "alpha (coupled)", "beta (coupled)", "alpha (Chinchilla)", "beta (Chinchilla)",
               "a, N* over C", "forecast", "reached"]  # fmt: skip
    print("| " + " | ".join(headers) + " |")
    for study in studies:
        print("| " + " | ".join(exponents(study)) + " |")
    places(studies)


if __name__ == "__main__":
    main()
