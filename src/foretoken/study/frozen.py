"""What a study does with its ledger: the forecast of its target, frozen, and which of them counts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from foretoken import fits, forecasts
from foretoken.designs import Design
from foretoken.errors import RefusedError
from foretoken.forecasts import Entry, ledger
from foretoken.forecasts.band import band_along
from foretoken.forecasts.ledger import LedgerLine
from foretoken.forecasts.rivals import plain_loss
from foretoken.forecasts.scores import ScoreForecast
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


def standing_entry(store: Store, design: Design, path: Path) -> Entry | None:
    """The forecast that stands already: the one at `path`, or of a target that has begun whichever was frozen before.

    None where one is to be frozen. Raises RefusedError for a target that began without any.
    """
    # What was frozen stands: a study that is resumed scores what it said then, not what it would say now.
    if path.is_file():
        return ledger.read_entry(path)
    if not has_begun(store, design.target):
        return None
    standing = current_forecast(store.folder, design)
    if standing is None:
        evidence = "the target was trained before any forecast of it was frozen"
        raise RefusedError("target_already_trained", evidence, "give the target another size, or the study a seed")
    return standing.entry


def freeze_target(
    path: Path,
    target: RunSpec,
    fit: fits.Fit,
    approach3: fits.Fit,
    since: Moment,
    scores: Iterable[ScoreForecast] = (),
    score_checks: Iterable[fits.Check] = (),
) -> Entry:
    """Forecast the target from a fit, and write that down with its rivals; `since` is when this process began.

    `scores` are what it is forecast to score on tasks, with their doubts.
    """
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
        scores=scores,
        score_checks=score_checks,
    )
