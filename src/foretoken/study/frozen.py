"""What a study does with its ledger: the forecast of its target, frozen, and which of them counts."""

from __future__ import annotations

from pathlib import Path

from foretoken import fits, forecasts
from foretoken.designs import Design
from foretoken.forecasts import Entry, ledger
from foretoken.forecasts.band import band_along
from foretoken.forecasts.ledger import LedgerLine
from foretoken.forecasts.rivals import plain_loss
from foretoken.runs.spec import RunSpec
from foretoken.store.chain import Chain
from foretoken.store.clock import Moment
from foretoken.store.store import Store

CONVENTIONS = {
    "N": "all trained parameters (params_total)",
    "FLOPs": "matrix products, forward and backward, with full attention and the output head; 6ND beside it",
    "loss": "nats per predicted token on the validation set",
}


OWN_CONVENTIONS = {
    "N": "as given in the study file, or counted from the shape (no embeddings and head where no vocabulary is named)",
    "FLOPs": "as the study file gives them, or matrix products of the shape; 6ND where only N is given",
    "loss": "as the trainer's command measures it",
}
"""Of the runs of an own trainer."""


def entry_path(folder: Path, target: RunSpec, fit: fits.Fit) -> Path:
    """The ledger's entry for a target and a fit: new data or another law are a new entry, never an edited one."""
    return folder / "ledger" / f"target-{target.key}-{fit.data_sha256[:8]}-{fit.law}-{fit.level:g}.json"


def has_begun(store: Store, run: RunSpec) -> bool:
    """Whether a run has begun, by its record, its checkpoints or the ledger: one whose record is gone has begun too."""
    return store.has_begun(run) or bool(Chain.read(store.folder / "ledger").of_run(run.key))


def current_forecast(folder: Path, design: Design | None) -> LedgerLine | None:
    """The newest forecast of the design's target, with its outcome; None before there is one."""
    if design is None:
        return None
    lines = forecasts.Ledger.read(folder / "ledger").lines
    of_target = [line for line in lines if line.name.startswith(f"target-{design.target.key}-")]
    # By the chain; the clock tells only those apart that an earlier version froze.
    return max(of_target, key=lambda line: (line.place, line.entry.frozen_instant), default=None)


def freeze_target(path: Path, target: RunSpec, fit: fits.Fit, approach3: fits.Fit, since: Moment) -> Entry:
    """Forecast the target from a fit, and write that down with its rivals; `since` is when this process began."""
    size, length = float(target.parameters.total), float(target.tokens)
    # The target was chosen: a forecast that nobody would ask for (above guessing) is frozen and scored too.
    forecast = forecasts.predict(fit, params=size, tokens=length, flops=target.flops, level=fit.level, strict=False)
    rivals = forecasts.rival_forecasts(fit, flops=target.flops)
    return ledger.freeze(
        path,
        forecast,
        fit=fit,
        rivals={**rivals, "chinchilla": plain_loss(approach3, size, length)},
        conventions=OWN_CONVENTIONS if target.trainer else {**CONVENTIONS, "objective": target.objective.kind},
        band=band_along(fit, size, length, fit.level, target.flops),
        spec=target,
        since=since,
    )
