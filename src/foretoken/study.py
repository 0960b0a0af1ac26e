"""The whole line, from one study file: design, train, fit, forecast, train the target, score, report."""

from __future__ import annotations

import importlib.metadata
from functools import cached_property
from pathlib import Path
from typing import Any

from foretoken import fits, forecasts, reports
from foretoken._version import __version__
from foretoken.compute.hardware import available_cores, has_bfloat16
from foretoken.data import TokenizedCorpus, check_tokens, prepare
from foretoken.designs import Design, Recipe, TokenSource, extend, group_by_trunk, make_design, own_steps
from foretoken.errors import ForetokenError, MissingExtraError, RefusedError
from foretoken.folder import current_forecast, design_totals, gather, ledger_path, status, table_of
from foretoken.forecasts import ledger
from foretoken.launchers.calibration import Calibration
from foretoken.launchers.local import Job, launch
from foretoken.progress import PROGRESS, Progress, View
from foretoken.runs.record import RunRecord
from foretoken.runs.spec import RunSpec
from foretoken.runs.store import Store, read_json, write_json
from foretoken.runs.study_file import Study
from foretoken.runs.table import RunTable

CONVENTIONS = {
    "N": "all trained parameters (params_total)",
    "FLOPs": "matrix products, forward and backward, with full attention and the output head; 6ND beside it",
    "loss": "nats per token on the validation set",
}


def study_folder(study: Study, root: str | Path = "runs") -> Path:
    """Where a study keeps everything: `runs/<name>`."""
    return Path(root) / study.name


def run(study: Study, folder: str | Path | None = None, view: View | None = None, command: str = "") -> dict[str, Any]:
    """Run a study, or go on with it from wherever it was stopped; gives what `status` gives at the end.

    `command` is what the report says was typed. Raises StudyBusyError while another process runs it, CorpusError and
    DesignError before anything is trained, RefusedError when the small runs give no usable forecast.
    """
    line = Line(study, folder, view, command)
    try:
        with line.store.lock():
            line.run()
    finally:
        line.view.close()
    return status(line.folder)


class Line:
    """A study and its folder: each method is one stage, and finds again what was already done."""

    def __init__(
        self, study: Study, folder: str | Path | None = None, view: View | None = None, command: str = ""
    ) -> None:
        self.command = command
        self.study, self.folder = study, Path(folder or study_folder(study))
        self.store, self.view = Store(self.folder), view or View()
        self.cores = available_cores()
        self.workers = study.launch.workers or self.cores
        self.target_threads = study.launch.target_threads or self.cores

    def run(self) -> None:
        """The line."""
        (self.folder / PROGRESS).unlink(missing_ok=True)
        design = self.design()
        self.train(design.runs)
        try:
            design = self.recenter(design)
            fit = self.fit(design)
            entry = self.freeze(design, fit)
        except RefusedError as refusal:
            self.report(design, refusal)
            raise
        if self.study.target.train:
            self.train([design.target])
            self.score(design, entry)
        self.report(design)

    @cached_property
    def corpus(self) -> TokenizedCorpus:
        """The tokenised corpus, shared by the studies beside this one."""
        self.view.phase("reading the corpus")
        return prepare(self.study.corpus, self.folder.parent / "corpora", self.study.seed)

    @cached_property
    def recipe(self) -> Recipe:
        """The study's rules, with what they need to know of corpus and machine."""
        corpus = self.corpus
        source = TokenSource(
            address=corpus.address,
            tokenizer=corpus.tokenizer,
            eval_set=corpus.eval_set,
            vocabulary=corpus.vocabulary,
            train_tokens=corpus.train_tokens,
        )
        return Recipe(study=self.study, source=source, torch_version=_torch_version(), bfloat16=has_bfloat16())

    @cached_property
    def calibration(self) -> Calibration:
        """The speed of this machine."""
        return Calibration(self.store)

    def design(self) -> Design:
        """Plan the runs, check that the corpus is long enough, and keep the plan in design.json."""
        design = make_design(self.recipe, self.target_threads)
        longest = max(self._to_train(design), key=lambda run: run.tokens)
        check_tokens(self.corpus, longest.tokens, longest.shape.context, self.study.corpus.repeat)
        return self._keep(design)

    def estimate(self, design: Design) -> dict[str, float]:
        """Seconds of each run by key, from a short calibration; a run counts what its trunk has not trained."""
        self.view.phase("measuring this machine")
        self.calibration.measure(design.runs, self.workers)
        if self.study.target.train:
            self.calibration.measure([design.target], 1)
        own = {run.key: steps for trunk in design.trunks for run, steps in own_steps(trunk)}
        return {run.key: self.calibration.seconds(run, own.get(run.key)) for run in self._to_train(design)}

    def _to_train(self, design: Design) -> list[RunSpec]:
        return design.all_runs if self.study.target.train else design.runs

    def train(self, runs: list[RunSpec]) -> None:
        """Train the runs that have no record yet: one process per trunk, the longest first."""
        waiting = [run for run in runs if (record := self.store.record(run.key)) is None or record.status == "failed"]
        if not waiting:
            return
        trunks = [trunk for trunk in group_by_trunk(runs) if any(run in waiting for run in trunk)]
        workers = min(self.workers, len(trunks)) if runs[0].threads == 1 else 1
        self.calibration.measure(waiting, workers)
        seconds = {run.key: self.calibration.seconds(run, steps) for trunk in trunks for run, steps in own_steps(trunk)}
        self.view.phase("training" if runs[0].group != "target" else "training the target")
        self.view.training(waiting, seconds)
        jobs = [self._job(trunk, sum(seconds[run.key] for run in trunk), workers) for trunk in trunks]
        progress = Progress(self.store, self.view)
        outcomes = launch(
            "foretoken.training.jobs:train_job",
            jobs,
            workers=workers,
            threads=runs[0].threads,
            log=self.folder / "log" / "workers.txt",
            on_event=progress.event,
        )
        progress.clear()
        errors = {outcome.name: outcome.error for outcome in outcomes if outcome.error}
        for trunk in trunks:
            if error := errors.get(trunk[0].trajectory):
                self._record_failure([run for run in trunk if run in waiting], error)

    def recenter(self, design: Design) -> Design:
        """Add sizes where a budget has its minimum at the edge, train them, and look again."""
        if self.study.design.kind != "isoflop":
            return design
        for _ in range(self.study.design.recenter_rounds):
            edges = self._edges(design)
            new = extend(self.recipe, design.runs, edges) if edges else []
            if not new:
                break
            self.view.phase(f"re-centring {', '.join(edges)}")
            design = self._keep(Design([*design.runs, *new], design.target))
            self.train(design.runs)
        return design

    def _edges(self, design: Design) -> dict[str, str]:
        """Budgets whose best size is the smallest or the largest tried; none where there is nothing to judge by."""
        try:
            budgets = self.isoflop(design).budgets
        except RefusedError:
            return {}
        return {b.group: b.status for b in budgets if b.status in ("edge_small", "edge_large")}

    def table(self, design: Design) -> RunTable:
        """The run table of the small runs."""
        return table_of(self.store, design.runs)

    def fit(self, design: Design) -> fits.Fit:
        """Fit the forecast's law to the small runs and keep it in fit.json. Raises RefusedError."""
        self.view.phase("fitting")
        return self._fitted(design, self.study.forecast.law, "fit.json")

    def approach3(self, design: Design) -> fits.Fit:
        """Chinchilla's own form, beside the law that forecasts; kept in approach3.json."""
        return self._fitted(design, "chinchilla", "approach3.json")

    def _fitted(self, design: Design, law: str, name: str) -> fits.Fit:
        """The fit in the folder when it is of these runs by this version, else a new one."""
        table, path, level = self.table(design), self.folder / name, self.study.forecast.level
        if path.is_file():
            kept = fits.Fit.load(path)
            if (kept.data_sha256, kept.law, kept.level, kept.version) == (table.digest, law, level, __version__):
                return kept
        fit = fits.fit(table, law, level=level, seed=self.study.seed)
        fit.save(path)
        return fit

    def isoflop(self, design: Design) -> fits.IsoflopFit:
        """The parabolas of the small runs. Raises RefusedError when no two sizes share a budget."""
        return fits.isoflop(self.table(design), level=self.study.forecast.level, seed=self.study.seed)

    def freeze(self, design: Design, fit: fits.Fit) -> dict[str, Any]:
        """Forecast the target and write the forecast down, once, before the target is trained.

        When the target has begun, what was frozen before stands, whatever the small runs say by now. Raises
        RefusedError when nothing was.
        """
        path = ledger_path(self.folder, design, fit)
        if path.is_file():
            entry: dict[str, Any] = read_json(path)
            return entry
        if self._target_has_begun(design.target):
            standing, _ = current_forecast(self.folder, design)
            if standing is None:
                evidence = "the target was trained before any forecast of it was frozen"
                raise RefusedError(
                    "target_already_trained", evidence, "give the target another size, or the study a seed"
                )
            return standing
        target = design.target
        forecast = forecasts.predict(
            fit,
            params=float(target.parameters.total),
            tokens=float(target.tokens),
            flops=target.flops,
            level=self.study.forecast.level,
        )
        rivals = forecasts.rival_forecasts(fit, flops=target.flops)
        rivals["chinchilla"] = forecasts.plain_loss(self.approach3(design), forecast.params, forecast.tokens)
        return ledger.freeze(path, forecast, fit=fit, rivals=rivals, target=target.to_json(), conventions=CONVENTIONS)

    def _target_has_begun(self, target: RunSpec) -> bool:
        record = self.store.record(target.key)
        folders = (self.store.trunk_folder(target.trajectory), self.store.branch_folder(target.key))
        return (record is not None and record.status != "failed") or any(any(f.glob("step-*")) for f in folders)

    def score(self, design: Design, entry: dict[str, Any]) -> None:
        """Hold the forecast against the trained target, once."""
        path = self.folder / "ledger" / entry["name"]
        record = self.store.record(design.target.key)
        if record is not None and record.status == "finished" and not path.with_suffix(ledger.OUTCOME).exists():
            ledger.keep_outcome(path, ledger.score(entry, record))

    def report(self, design: Design, refusal: ForetokenError | None = None) -> Path:
        """Write report/index.html."""
        self.view.phase("writing the report")
        return reports.write(gather(self.folder, refusal), self.folder)

    def design_summary(self, design: Design) -> dict[str, Any]:
        """The keys of `foretoken design --json`."""
        seconds = self.estimate(design)

        def row(run: RunSpec) -> dict[str, Any]:
            count = run.parameters
            return {
                "id": run.key,
                "group": run.group,
                "params_total": count.total,
                "params_non_embedding": count.non_embedding,
                "tokens": run.tokens,
                "flops": run.flops,
                "seconds_estimated": seconds.get(run.key),
            }

        return {**design_totals(design), "runs": list(map(row, design.runs)), "target": row(design.target)}

    def _keep(self, design: Design) -> Design:
        """Write design.json, unless it holds these runs already (and those that re-centring added)."""
        plan = {"study": self.study.model_dump(), "corpus": self._corpus_summary(), **design.to_json()}
        path = self.folder / "design.json"
        kept = read_json(path) if path.is_file() else {}
        plan["command"] = self.command or kept.get("command", "")
        settled = all(kept.get(name) == plan[name] for name in ("study", "corpus", "target", "command"))
        if not (settled and all(run in kept["runs"] for run in plan["runs"])):
            write_json(path, plan)
        return design

    def _corpus_summary(self) -> dict[str, Any]:
        corpus = self.corpus
        splits = read_json(corpus.folder / "manifest.json")["splits"].values()
        return {
            "source": self.study.corpus.source,
            "address": corpus.address,
            "tokenizer": corpus.tokenizer,
            "vocabulary": corpus.vocabulary,
            "tokens": corpus.train_tokens + corpus.validation_tokens,
            "train_tokens": corpus.train_tokens,
            "validation_tokens": corpus.validation_tokens,
            "bytes": None if corpus.validation_bytes is None else sum(split["bytes"] for split in splits),
            "sha256": corpus.sources_sha256,
            "entropy_rate": corpus.entropy_rate,
        }

    def _job(self, trunk: list[RunSpec], seconds: float, workers: int) -> Job:
        workplace = {
            "folder": str(self.folder),
            "corpus": str(self.corpus.folder),
            "peak_flops": self.calibration.peak(trunk[0]),
            "busy_threads": workers * trunk[0].threads,
        }
        return Job(trunk[0].trajectory, {"specs": [run.to_json() for run in trunk], "workplace": workplace}, seconds)

    def _record_failure(self, runs: list[RunSpec], error: str) -> None:
        for run in runs:
            record = RunRecord(spec=run, status="failed", parent=run.trunk, version=__version__, error=error)
            if self.store.record(run.key) is None:
                self.store.put_record(record)
                self.view.ended(record)


def _torch_version() -> str:
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        raise MissingExtraError("torch", "train", "training") from None
