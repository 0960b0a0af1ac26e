"""Scores of a study's runs on its tasks: what is asked, the table of scores, and the forecast of the target's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from foretoken.abilities.downstream import downstream
from foretoken.abilities.table import ScoreTable, read_scores
from foretoken.bounded import sha256_of
from foretoken.compute.objective import PAD, Objective
from foretoken.compute.shape import ModelShape, preset_family
from foretoken.data import TokenizedCorpus
from foretoken.data.corpus_tasks import corpus_tasks
from foretoken.data.tokenizer import SymbolTokenizer, Tokenizer
from foretoken.data.tokenizer_files import load_tokenizer
from foretoken.designs import Design
from foretoken.errors import RefusedError, TableError, TaskError, shown
from foretoken.fits.check import Check, listed, plural
from foretoken.forecasts.scores import ScoreForecast
from foretoken.launchers.jobs import CHECK_EXAMPLES
from foretoken.runs.spec import RunSpec
from foretoken.runs.study_file import Study
from foretoken.runs.task_score import TaskScore
from foretoken.store.score_rows import score_rows
from foretoken.store.scores import EXAMPLES, NAME, scores_of
from foretoken.store.store import Store
from foretoken.study.agreement import records_of
from foretoken.tasks import PromptTask, Question, read_prompt_task
from foretoken.tasks.evaluation import Evaluation, Tuning
from foretoken.tasks.made import task_of
from foretoken.tasks.metrics import can_write, metrics_of
from foretoken.tasks.task import check_names, check_shots

MASKED_FRAME = 2
"""Tokens around a text that an encoder reads: CLS and SEP."""


def evaluation_of(study: Study, corpus: Path | None = None) -> Evaluation | None:
    """What a study file's networks are scored on; None where it asks for nothing. Raises TaskError.

    Of tasks that the tokenised `corpus` was made of it is known how often each fact stands there (`Question.count`).
    """
    section, tuning = study.evaluate, tuning_of(study)
    if section is None:
        return Evaluation(tasks=(), tuning=tuning) if tuning else None
    counted = {task.name: task for task in corpus_tasks(corpus, questions=section.questions)} if corpus else {}
    tasks = [
        # Its name as the study file has it: where the study lies does not make it another task.
        replace(read_prompt_task(study.home / task), source=task)
        if isinstance(task, str)
        else counted.get(task.title) or task_of(task, study.seed, section.questions)
        for task in section.tasks
    ]
    # The first ones, the same for all models: a file may hold more than are asked.
    tasks = [replace(task, questions=task.questions[: section.questions]) for task in tasks]
    check_names(tasks)
    family, objective = preset_family(study.model.preset), study.objective
    for task in tasks:
        metrics_of(task, section.metrics, writes=can_write(family, objective, task))
        check_shots(task, max(section.shots))
    return Evaluation(
        tasks=tuple(tasks),
        shots=tuple(section.shots),
        seeds=tuple(section.seeds),
        metrics=tuple(section.metrics),
        when=tuple(section.when),
        when_of=section.when_of,
        tuning=tuning,
    )


def check_readable(evaluation: Evaluation, corpus: Path, runs: Sequence[RunSpec]) -> None:
    """Raise TaskError for a task no question of which the networks can read: it would end their runs after training.

    `corpus` is the folder of the tokenised corpus. Examples that do not fit are left out when a network is scored, and
    so are single questions.
    """
    tokenizer, shape = load_tokenizer(corpus), min((run.shape for run in runs), key=lambda shape: shape.context)
    objective = runs[0].objective
    for task in evaluation.tasks:
        if isinstance(tokenizer, SymbolTokenizer):
            if not all(word.isdecimal() for question in task.questions for word in task.prompt(question).split()):
                cure = "take a corpus of text, or a task whose prompts are numbers with spaces between them"
                raise TaskError(f"a synthetic language has no words to ask {task.name} in", cure=cure)
            continue
        _check_gaps(task, tokenizer, objective, shape)
        if any(_fits(task.prompt(question), question, tokenizer, objective, shape) for question in task.questions):
            continue
        raise TaskError(
            f"no question of {task.name} fits into the context of the networks",
            expected=f"at most {shape.context} tokens with the answer",
            got=f"{len(task.questions)} longer questions",
            cure="give model.context more tokens, or take a shorter template or a tokenizer that learns longer tokens",
        )


def _fits(prompt: str, question: Question, tokenizer: Tokenizer, objective: Objective, shape: ModelShape) -> bool:
    """Whether a network can read a question, as its reader has it (scoring/likelihood.py and scoring/masks.py)."""
    family, answer = shape.family_record, max(question.candidates, key=len)
    if family.recurrent:
        return True
    before, whole = _tokens(tokenizer, prompt), _tokens(tokenizer, prompt + question.filled(answer))
    if objective.is_masked:
        return whole + MASKED_FRAME <= shape.context
    source, target = before, whole - before
    if question.after is not None and objective.corrupts_spans:
        gaps = len(question.pieces(answer)) // 2
        hidden = gaps * _tokens(tokenizer, answer)
        source, target = whole - hidden + gaps, hidden + gaps + 1
    if family.two_stacks:
        return source <= shape.context and target <= shape.second_context
    return max(source, 1) + target - 1 <= shape.context  # the last token is predicted and not read


def _check_gaps(task: PromptTask, tokenizer: Tokenizer, objective: Objective, shape: ModelShape) -> None:
    """Raise TaskError for gaps that the networks cannot fill, or answers that fill none."""
    for question in task.questions:
        spans = question.after is not None and objective.corrupts_spans
        if spans or objective.is_masked:
            empty = next((text for text in question.candidates if not _tokens(tokenizer, text)), None)
            if empty is not None:
                raise TaskError(f"an answer of {task.name} has no tokens", expected="text", got=shown(empty))
        gaps, sentinels = len(question.pieces("")) // 2, objective.specials(shape)
        if spans and gaps >= sum(name != PAD for name in sentinels):
            raise TaskError(
                f"a question of {task.name} has more gaps than the networks have sentinels",
                expected=f"at most {sum(name != PAD for name in sentinels) - 1}",
                got=f"{gaps}: {shown(question.prompt)}",
                cure="leave it out, or give model.context more tokens",
            )


def _tokens(tokenizer: Tokenizer, text: str) -> int:
    """How many tokens a text has."""
    return len(tokenizer.encode([text.encode()])[0]) if text else 0


def tuning_of(study: Study) -> Tuning | None:
    """What copies of the networks are tuned on; None where a study file asks for none. Raises TaskError."""
    section, path = study.finetune, examples_of(study)
    if section is None or path is None:
        return None
    if path.suffix not in EXAMPLES:
        raise TaskError("[finetune] task: no file of examples", expected=" or ".join(EXAMPLES), got=shown(section.task))
    return Tuning(
        name=path.stem,
        file=f"{sha256_of(path, TaskError)[:NAME]}{path.suffix}",
        kind=section.kind,
        seeds=section.seeds,
        learning_rates=tuple(section.learning_rates),
        epochs=section.epochs,
        classes=tuple(section.classes),
    )


def examples_of(study: Study) -> Path | None:
    """The file of the examples that copies of the networks are tuned on."""
    return study.home / study.finetune.task if study.finetune else None


def check_asked(study: Study, evaluation: Evaluation | None, corpus: TokenizedCorpus, runs: Sequence[RunSpec]) -> None:
    """Raise TaskError for tasks that runs cannot be asked, or examples that their networks cannot be tuned on.

    Without torch, which trains, nothing is said of examples.
    """
    if evaluation is None:
        return
    check_readable(evaluation, corpus.folder, runs)
    if evaluation.tuning and find_spec("torch"):
        module, function = CHECK_EXAMPLES.split(":")
        getattr(import_module(module), function)(examples_of(study), evaluation.tuning, corpus, runs[-1])


def ladder_scores(store: Store, runs: list[RunSpec], evaluation: Evaluation) -> ScoreTable:
    """The scores of the small runs at their ends, as abilities read them. Raises TableError where there are none."""
    scores = scores_of(store.folder, [run.key for run in runs], evaluation.digest)
    rows = score_rows(records_of(store, runs), [one for one in scores if one.at_the_end], evaluation.tasks)
    if rows.empty:
        raise TableError("no small run has scores")
    # Of a run that is not there only size and length are known, from which its FLOPs are taken: so are these.
    return read_scores(rows.drop(columns=["flops", "flops_6nd", "group"]))


def forecast_scores(
    store: Store, design: Design, evaluation: Evaluation | None, level: float, note: Callable[[str], None]
) -> tuple[list[ScoreForecast], list[Check]]:
    """What the target will score, from the scores of the small runs, and the doubts about it.

    Where nothing can be said, `note` is told why, and so is whoever reads the doubts.
    """
    if evaluation is None:
        return [], []
    target = design.target
    try:
        table = ladder_scores(store, design.runs, evaluation)
        # Straight from the ladder: the target has no record yet, so nothing of its own outcome can enter.
        found = downstream(table, at=(float(target.parameters.total), float(target.tokens)), level=level)
    except (RefusedError, TableError) as error:
        told = f"no scores of the target are forecast: {error.message}"
        note(told)
        return [], [Check(error.code or "no_scores", "refusal", told, error.cure or "score more of the small runs")]
    scores = [
        ScoreForecast(
            task=one.task,
            metric=one.metric,
            shots=int(one.shots),
            score=one.score,
            low=one.low,
            high=one.high,
            level=one.level,
            route=one.route,
            reason=one.reason,
            evaluation=evaluation.digest,
        )
        for one in found.tasks
    ]
    return scores, [*_unscored(table, design.runs), *found.checks]


def _unscored(table: ScoreTable, runs: list[RunSpec]) -> list[Check]:
    """A doubt where small runs have no scores, as of those that failed or diverged."""
    without = sorted({run.group for run in runs if run.key not in set(table.frame["run"])})
    if not without:
        return []
    told = f"{plural(len(runs) - table.frame['run'].nunique(), 'small run')} without scores: of {listed(without, 6)}"
    return [Check("runs_without_scores", "doubt", told, "run the study again: what failed is tried once more")]


def final_scores(store: Store, run: RunSpec, forecasts: Iterable[ScoreForecast]) -> list[TaskScore]:
    """What a run scored at its end on the tasks of its forecasts, which may not be those of the study file any more."""
    digests = dict.fromkeys(one.evaluation for one in forecasts if one.evaluation)
    found = (one for digest in digests for one in scores_of(store.folder, [run.key], digest))
    return [score for one in found if one.at_the_end for score in one.scores]
