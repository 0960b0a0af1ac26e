"""Out-of-sample errors and coverage of forecasts on public run tables, beside a plain Huber fit and another package.

usage: python benchmarks/backtest.py DATA BASELINE.json [--estimator map] [--law coupled] [--only PREFIX] [--out X]

DATA holds the published tables, BASELINE.json the mean errors of the rivals on each split: {rows: [{table, q,
huber_test_error, package_test_error}]}. Each table is cut at the 50 % and the 70 % quantile of its compute; the runs
below are fitted with the default settings of `foretoken backtest`, the runs above are forecast. A source is what the
tables of one paper are.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foretoken.fits.objectives import ESTIMATORS
from foretoken.forecasts.backtest import backtest
from foretoken.runs.table import RunTable


def tables(folder: Path) -> dict[str, pd.DataFrame]:
    """The published tables in canonical columns; only rows that a sensible user would fit."""
    found = {}
    epoch = pd.read_csv(folder / "chinchilla_epoch.csv")
    found["chinchilla_epoch_245"] = epoch
    found["chinchilla_epoch_240"] = epoch[epoch.loss < epoch.loss.nlargest(5).min()]
    openlm = pd.read_csv(folder / "openlm_overtraining.csv")
    for name, part in openlm.groupby("dataset"):
        found[f"openlm_{name}"] = part.assign(loss=part.loss_c4_val)
    repeated = pd.read_csv(folder / "datablations.csv")
    repeated = repeated[repeated.dedup_data == 0].drop(columns="flops")
    for epochs in (1, 4):
        found[f"datablations_epochs_le_{epochs}"] = repeated[repeated.epochs <= epochs + 1e-4]
    porian = pd.read_csv(folder / "porian_isoflop.csv")
    porian = porian[(porian.counting == "standard") & (porian.loss_kind == "val")]
    porian = porian.assign(params=porian.params_with_head)
    for key, part in porian.groupby(["dataset", "hparams", "warmup", "decay"]):
        found["porian_" + "_".join(key)] = part
        found["porian_" + "_".join(key) + "_tok_per_param_ge_2"] = part[part.tokens >= 2 * part.params]
    routing = pd.read_csv(folder / "routing_moe.csv")
    chosen = (routing.router == "Dense") & (routing.step >= 20000) & (routing.seed == 42)
    routing = routing[chosen & (routing.dense_flop_increase == 1)]
    found["routing_dense_curves"] = routing.assign(params=routing.dense_params, loss=routing.loss_validation)
    columns = ["params", "tokens", "flops", "loss"]
    return {name: frame.reindex(columns=columns).dropna(axis=1, how="all").dropna() for name, frame in found.items()}


def splits(folder: Path, baseline: Path, estimator: str, law: str, only: str) -> list[dict[str, Any]]:
    """One row per split: our numbers beside the rivals'."""
    known = tables(folder)
    found = []
    for row in json.loads(baseline.read_text())["rows"]:
        if not row["table"].startswith(only):
            continue
        frame = known[row["table"]].reset_index(drop=True)
        told = backtest(RunTable(frame, row["table"]), row["q"], estimator=estimator, law=law)
        assert (told.n_train, told.n_test) == (row["n_train"], row["n_test"])
        kept = {k: v for k, v in told.to_json().items() if k not in ("rows", "origins", "checks", "assumed")}
        found.append({**row, "source": row["table"].split("_")[0], **kept})
        ours = told.test_error
        print(
            f"{row['table']:62s} {row['q']} error {100 * ours:6.2f} %, over Huber's"
            f" {ours / row['huber_test_error']:5.2f}, over the package's {ours / row['package_test_error']:5.2f},"
            f" bias {100 * told.bias:+6.2f} %, inside {told.coverage:4.2f}, half width"
            f" {100 * told.median_half_width:5.2f} % ({told.median_half_width / told.median_error:4.1f} median errors),"
            f" {told.seconds:.1f} s",
            flush=True,
        )
    return found


def summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    """All that the back-test is judged by."""
    frame = pd.DataFrame(found)
    by_source = frame.groupby("source", sort=False)
    mean = by_source[["test_error", "huber_test_error", "bias", "coverage"]].mean()
    medians = by_source[["median_half_width", "median_error"]].mean()
    ratio = mean.test_error / mean.huber_test_error
    per_split = frame.test_error / frame.huber_test_error
    tables = frame.groupby("table").coverage.mean()
    return {
        "ratio_by_source": ratio.to_dict(),
        "bias_by_source": mean.bias.to_dict(),
        "coverage_by_source": mean.coverage.to_dict(),
        "half_widths_over_errors_by_source": (medians.median_half_width / medians.median_error).to_dict(),
        "ratio": float(ratio.mean()),
        "worst_ratio": float(ratio.max()),
        "geometric_mean_of_splits": float(np.exp(np.log(per_split).mean())),
        "better_than_package": float((frame.test_error < frame.package_test_error).mean()),
        "bias": float(frame.bias.mean()),
        "coverage": float(mean.coverage.mean()),
        "least_coverage_of_a_table": float(tables.min()),
        "least_coverage_of_a_split": float(frame.coverage.min()),
        "splits_below_60": int((frame.coverage < 0.6).sum()),
        "half_width_over_error": float(frame.median_half_width.median() / frame.median_error.median()),
        "half_width_over_error_per_split": float((frame.median_half_width / frame.median_error).median()),
        "splits_wider_than_4": int((frame.median_half_width > 4 * frame.median_error).sum()),
        "seconds": float(frame.seconds.sum()),
    }


def main() -> None:
    """Read the options and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("baseline", type=Path)
    parser.add_argument("--estimator", default="map", choices=ESTIMATORS)
    parser.add_argument("--law", default="weighed")
    parser.add_argument("--only", default="", help="tables whose names begin so")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore", RuntimeWarning)
    began = time.perf_counter()
    found = splits(options.data, options.baseline, options.estimator, options.law, options.only)
    told = summary(found)
    print(json.dumps(told, indent=1))
    print(f"{time.perf_counter() - began:.0f} s in all")
    if options.out:
        options.out.write_text(json.dumps({"summary": told, "splits": found}, indent=1, default=str))


if __name__ == "__main__":
    main()
