"""The stages of a study in their order: design, train, fit, freeze, train the target, score, report."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import Any

from foretoken import fits, forecasts, reports, routes
from foretoken._version import RECIPE, __version__
from foretoken.data import TokenizedCorpus, find_corpus, prepare_corpus
from foretoken.data.tokenized import CorpusSummary
from foretoken.designs import Design, Recipe, TokenSource, extend, make_design
from foretoken.errors import ForetokenError, PausedError, RefusedError
from foretoken.forecasts import ledger
from foretoken.launchers import LAUNCHERS, Launcher, Machine
from foretoken.runs.spec import RunSpec
from foretoken.runs.study_file import Study
from foretoken.runs.table import RunTable
from foretoken.store import chain
from foretoken.store.atomic import delete_file, guarded
from foretoken.store.clock import Moment
from foretoken.store.finished import is_finished, mark_finished, unmark
from foretoken.store.integrity import REMEDIES, check_belongs, inspect, repair
from foretoken.store.lease import Lease
from foretoken.store.push import NO_COPY, NoCopy
from foretoken.store.store import Store
from foretoken.study.agreement import table_of
from foretoken.study.bucket_copy import STAGE_SECONDS
from foretoken.study.design_checks import check_gpus, check_planned, check_room, workers_of
from foretoken.study.design_file import (
    DesignFile,
    ThreadChoice,
    chosen_threads,
    designed_threads,
    usable_design,
    write_design_file,
)
from foretoken.study.frozen import current_forecast, entry_path, freeze_target, has_begun, standing_entry
from foretoken.study.limit_checks import tell_limit
from foretoken.study.maintenance import look_over
from foretoken.study.progress import PAUSE, PROGRESS, ProgressListener, notes_to
from foretoken.study.results import gather, kept_fit
from foretoken.study.scoring_work import ScoringWork
from foretoken.study.study_status import status
from foretoken.study.task_scores import check_asked, evaluation_of, examples_of, final_scores, forecast_scores
from foretoken.study.trainer import LoopTrainer, Trainer, require_torch, torch_version
from foretoken.tasks.evaluation import Evaluation


def study_folder(study: Study, root: str | Path = "runs") -> Path:
    """Where a study keeps everything: `runs/<name>`."""
    return Path(root) / study.name


class StudyRunner:
    """A study and its folder: each method is one stage, and finds again what was already done."""

    def __init__(
        self,
        study: Study,
        folder: str | Path | None = None,
        listener: ProgressListener | None = None,
        command: str = "",
        launcher: Launcher | None = None,
    ) -> None:
        self.command = command
        self.launcher = launcher or LAUNCHERS[study.launch.kind](study.launch)
        self.study, self.folder = study, Path(folder or study_folder(study))
        self.store, self.listener = Store(self.folder), listener or ProgressListener()
        self.lease: Lease | None = None
        self.began = Moment.now()
        self.corpora = self.folder.parent / "corpora"
        self.copy: NoCopy = NO_COPY  # of its bucket, where `run` puts one

    @cached_property
    def machine(self) -> Machine:
        """The machine as the launcher's jobs see it."""
        log = self.folder / "log" / "machine.txt"
        return self.launcher.measure(log, on_event=notes_to(self.listener), check=self._check_lease)

    @property
    def workers(self) -> int:
        """Processes side by side, on all machines together."""
        return workers_of(self.study.launch, self.machine, self.machine.cores * self.machine.count)

    @property
    def target_threads(self) -> int:
        """Threads of a run that has nothing beside it: as the study file says, or as was measured, or one per core.

        They are part of its key, so they are chosen once: another machine goes on with what the design says.
        """
        asked = self.study.launch.target_threads
        return asked or designed_threads(self.store.folder, self.study) or self.machine.cores

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Own the study's folder, mended. Raises StoreError before anything is written when it cannot be used."""
        check_belongs(self.folder, self.study.name)
        lease = Lease(self.folder, self.study.launch.lease_seconds, self.copy.number)
        with lease, guarded(self._check_owner), self.copy.opened(lease):
            self.lease, self.store = lease, Store(self.folder, lease.attempt)
            # Before anything is read: a damaged record that is set aside here is a run that was never trained.
            findings = look_over(self.folder)
            repair(self.folder, findings)
            for finding in findings:
                self.listener.note(f"{finding.path}: {finding.problem}: {REMEDIES[finding.remedy]}")
            delete_file(self.folder / PROGRESS)  # of a driver that was killed
            delete_file(self.folder / PAUSE)  # of an earlier driver: to run is to go on
            chain.seal(self.folder / "ledger")  # what it wrote and could not seal any more
            self.store.seal_records()
            try:
                yield
            except (OSError, ForetokenError):
                lease.check()  # in a folder that is gone, or another's by now, that is why anything fails
                raise
            finally:
                self.launcher.close()

    def is_finished(self) -> bool:
        """Whether the study has ended and nothing is wrong with it. Raises RefusedError when it ended in one."""
        # What the files depend on holds the corpus's hash; where it has not been tokenised, that is not known.
        if not self.knows_its_source or look_over(self.folder):
            return False
        return is_finished(self.folder, self._inputs_json())

    def _inputs_json(self) -> dict[str, Any]:
        """All that the study's files depend on, beside themselves."""
        source, threads = [*self.source_json(), __version__], self.target_threads
        inputs = {"study": self.study.model_dump(), "source": source, "target_threads": threads}
        return inputs | ({"evaluation": self.evaluation.digest} if self.evaluation else {})

    @property
    def knows_its_source(self) -> bool:
        """Whether it is known what the runs depend on beside the study file: where the corpus has been tokenised."""
        return self.known_corpus is not None

    def source_json(self) -> list[Any]:
        """What the runs depend on beside the study file."""
        return [self.recipe.source.address, self.recipe.torch_version, self.recipe.bfloat16, RECIPE]

    def corpus_summary(self) -> CorpusSummary | None:
        """What design.json says of the corpus."""
        return self.corpus.summary()

    def require(self, purpose: str) -> None:
        """Raise MissingExtraError where what trains the runs is not installed."""
        require_torch(purpose)

    def phase(self, text: str) -> None:
        """Begin a stage, if the study is still ours."""
        self._check_lease()
        self.listener.phase(text)

    def run(self) -> None:
        """All stages, one after another."""
        # Before anything changes that the mark vouches for; what it contradicts has been set aside or refused.
        unmark(self.folder)
        design = self.design()
        tell_limit(self, design)
        self.trainer.train(design.runs)
        try:
            design = self.choose_threads(self.recenter(design))
            fit = self.fit(design)
            entry = self.freeze(design, fit)
        except RefusedError as refusal:
            self.report(design, refusal)
            self._mark_finished(refusal)
            raise
        # Only now: a forecast that was frozen after its target began is no forecast.
        if self.study.target.train:
            if not has_begun(self.store, design.target):
                ledger.begin(self.folder / "ledger" / entry.name, design.target.key)
                self.copy.flush(STAGE_SECONDS)  # another machine must know what came first
            self.trainer.train([design.target])
            self.score(design, entry)
        self.report(design)
        self._mark_finished()

    def _mark_finished(self, refusal: RefusedError | None = None) -> None:
        # A run that failed may go well at the next try, so a study that has one is not finished.
        if not status(self.folder).counts.failed:
            repair(self.folder, [finding for finding in inspect(self.folder) if finding.remedy == "delete"])
            mark_finished(self.folder, self._inputs_json(), refusal)

    @cached_property
    def known_corpus(self) -> TokenizedCorpus | None:
        """The tokenised corpus, if it has been made."""
        return find_corpus(self.study.corpus, self.corpora, self.study.seed)

    @cached_property
    def corpus(self) -> TokenizedCorpus:
        """The tokenised corpus, shared by the studies beside this one."""
        if self.known_corpus is not None:
            return self.known_corpus
        self.phase("reading the corpus")
        return prepare_corpus(self.study.corpus, self.corpora, self.study.seed)

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
            specials=corpus.specials,
            fixed_vocabulary=corpus.fixed_vocabulary,
            separator=corpus.separator,
        )
        version = torch_version() or self._torch_version_of_the_folder()
        return Recipe(study=self.study, source=source, torch_version=version, bfloat16=self.machine.bfloat16)

    def _torch_version_of_the_folder(self) -> str:
        """Where torch is not installed, that of the folder's runs: so they are known again, and none seems new."""
        kept = usable_design(self.store.folder)
        return kept.design.target.software.partition("torch ")[2] if kept else "not installed"

    @cached_property
    def trainer(self) -> Trainer:
        """What trains the runs."""
        return LoopTrainer(
            self.store,
            self.corpus,
            self.launcher,
            self.machine,
            workers=self.workers,
            launch=self.study.launch,
            listener=self.listener,
            check=self._check_lease,
            evaluation=self.evaluation,
            examples=examples_of(self.study),
        )

    @cached_property
    def evaluation(self) -> Evaluation | None:
        """What the networks are scored on. Raises TaskError."""
        asked = self.study.evaluate or self.study.finetune
        return evaluation_of(self.study, self.corpus.folder) if asked else None

    def _check_owner(self) -> None:
        if self.lease:
            self.lease.check()
        self.copy.check()

    def _check_lease(self) -> None:
        self._check_owner()
        if self.lease and (self.folder / PAUSE).exists():
            raise PausedError("paused: all that was trained is saved", cure="foretoken run goes on, here or elsewhere")

    def design(self) -> Design:
        """Plan the runs, and keep the plan in design.json.

        Raises DesignError for runs that do not fit in memory or that the law cannot be fitted to, and CorpusError for
        too little text.
        """
        design = make_design(self.recipe, self.target_threads)
        for check in self.design_checks(design):
            self.listener.note(f"{check.code}: {check.evidence}; {check.cure}")
        return self._write_design(design)

    def planned_design(self) -> Design:
        """As `design`, with the sizes that re-centring has added so far; nothing is written."""
        design, kept = make_design(self.recipe, self.target_threads), usable_design(self.store.folder)
        self.design_checks(design)
        added = kept.design.runs if kept and kept.study == self.study else []
        if not {run.key for run in design.runs} <= {run.key for run in added}:
            added = []  # of another corpus or version
        return Design(list({run.key: run for run in [*design.runs, *added]}.values()), design.target)

    def design_checks(self, design: Design) -> list[fits.Check]:
        """The doubts about planned runs; raises what `design` raises."""
        self.check_room(self.to_train(design))
        check_asked(self.study, self.evaluation, self.corpus, self.to_train(design))
        scoring = ScoringWork(self.evaluation, self.corpus, examples_of(self.study)) if self.evaluation else None
        return check_planned(self.study, design) + (scoring.checks(self.to_train(design)) if scoring else [])

    def check_room(self, runs: list[RunSpec]) -> None:
        """Raise CorpusError or DesignError for runs that text or memory do not suffice for."""
        check_gpus(runs, self.study.launch, self.machine)
        beside = ceil(self.workers / self.machine.count)
        check_room(runs, self.corpus, self.machine, beside, self.study.corpus.repeat)

    def estimate_seconds(self, design: Design) -> tuple[dict[str, float], list[fits.Check]]:
        """Seconds of each run that is trained, by its key, and doubts about threads; none where torch is missing."""
        if torch_version() is None:
            return {}, []
        self.phase("measuring this machine")
        seconds, target = self.trainer.estimate(design.runs), design.target if self.study.target.train else None
        of_target, doubts = self.trainer.estimate_target(target, self.study.launch.target_threads)
        return seconds | of_target, doubts

    def to_train(self, design: Design) -> list[RunSpec]:
        """The runs that the study trains."""
        return design.all_runs if self.study.target.train else design.runs

    def choose_threads(self, design: Design) -> Design:
        """Plan the target with the threads that train it fastest now, once, unless the study file says how many."""
        target, asked = design.target, self.study.launch.target_threads
        # The threads are part of the target's key: what was forecast or begun keeps them, and is not measured again.
        settled = has_begun(self.store, target) or bool(chosen_threads(self.folder, self.study))
        settled = settled or (not asked and current_forecast(self.folder, design) is not None)
        if target.threads == 1 or settled or not self.study.target.train:
            return design
        self.phase("measuring how many threads train the target fastest")
        if (choice := self.trainer.choose_threads(target, asked)) is None:
            return design
        return self._write_design(Design(design.runs, replace(target, threads=choice.threads)), choice)

    def recenter(self, design: Design) -> Design:
        """Add sizes where a budget has its minimum at the edge, train them, and look again."""
        if self.study.design.kind != "isoflop":
            return design
        for _ in range(self.study.design.recenter_rounds):
            edges = self._edges(design)
            if not (new := extend(self.recipe, design.runs, edges) if edges else []):
                break
            self.phase(f"re-centring {', '.join(edges)}")
            # Written before the new runs are trained, so that a study stopped here goes on with them.
            design = self._write_design(Design([*design.runs, *new], design.target))
            self.trainer.train(design.runs)
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
        self.phase("fitting")
        return self._fit(design, self.study.forecast.law, "fit.json")

    def approach3(self, design: Design) -> fits.Fit:
        """Chinchilla's own form, beside the law that forecasts; kept in approach3.json."""
        return self._fit(design, "chinchilla", "approach3.json")

    def _fit(self, design: Design, law: str, name: str) -> fits.Fit:
        """The fit in the folder when it is of these runs by this version, and was not edited, else a new one."""
        return kept_fit(self.store, name, self.table(design), law, self.study.forecast.level, self.study.seed)

    def isoflop(self, design: Design) -> routes.IsoflopFit:
        """The parabolas of the small runs. Raises RefusedError when no two sizes share a budget."""
        return routes.isoflop(self.table(design), level=self.study.forecast.level, seed=self.study.seed)

    def freeze(self, design: Design, fit: fits.Fit) -> forecasts.Entry:
        """Forecast the target and write the forecast down, once, before the target is trained.

        When the target has begun, what was frozen before stands, whatever the small runs say by now. Raises
        RefusedError when nothing was.
        """
        path = entry_path(self.folder, design.target, fit)
        if standing := standing_entry(self.store, design, path):
            return standing
        scores, doubts = forecast_scores(self.store, design, self.evaluation, fit.level, self.listener.note)
        return freeze_target(path, design.target, fit, self.approach3(design), self.began, scores, doubts)

    def score(self, design: Design, entry: forecasts.Entry) -> None:
        """Hold the forecast against the trained target, once."""
        path, record = self.folder / "ledger" / entry.name, self.store.record(design.target.key)
        if record is not None and record.is_finished and not ledger.outcome_path(path).exists():
            scores = final_scores(self.store, design.target, entry.scores)
            ledger.keep_outcome(path, entry.score_record(record, scores))
            for sentence in forecasts.Ledger.read(path.parent).clock:
                self.listener.note(f"{sentence}; no order is taken from it")

    def report(self, design: Design, refusal: ForetokenError | None = None) -> Path:
        """Write report/index.html."""
        self.phase("writing the report")
        return reports.write_report(gather(self.folder, refusal), self.folder)

    def _write_design(self, design: Design, choice: ThreadChoice | None = None) -> Design:
        """Write design.json, unless it holds these runs already (and those that re-centring added)."""
        kept = usable_design(self.folder)
        plan = DesignFile(
            study=self.study,
            corpus=self.corpus_summary(),
            design=design,
            command=self.command or (kept.command if kept else ""),
            target_threads=choice or chosen_threads(self.folder, self.study),
        )
        if kept is None or not kept.covers(plan):
            write_design_file(self.folder, plan)
        return design
