"""What scoring on tasks takes: the tokens that are read, as training tokens that take as long; what it has taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import fmean

from foretoken.compute.families import Family
from foretoken.compute.objective import Objective
from foretoken.data import TokenizedCorpus
from foretoken.data.tokenizer import SymbolTokenizer, Tokenizer
from foretoken.data.tokenizer_files import load_tokenizer
from foretoken.designs import group_by_trunk, own_steps
from foretoken.fits import Check
from foretoken.launchers.calibration import FORWARD_SHARE
from foretoken.runs.spec import RunSpec
from foretoken.store.scores import scores_of
from foretoken.store.store import Store
from foretoken.tasks.evaluation import Evaluation
from foretoken.tasks.metrics import FOR_ANSWERS, FOR_CHOICES, METRICS, MOST_MORE, MOST_TIMES, can_write
from foretoken.tasks.task import PromptTask, Question

LOOKED_AT, MEASURED = 50, 20
"""Questions of a task whose tokens are counted, and runs with scores whose seconds are read: samples of each."""
SLOWER = 8.0
"""Time of a token that is read in short sequences or written one by one, over that of one in a batch of training.

Measured on one core with the networks of studies/: 4 to 20, the more the larger and the longer the answers they write.
"""
MUCH = 0.5
"""Time of scoring over that of training from which a study is told."""


@dataclass(frozen=True)
class TaskTokens:
    """Tokens of a task, means over its questions."""

    task: PromptTask
    prompt: float
    """Of a question without examples."""
    weighed: float
    """Of all answers that are weighed after it, with what stands behind them."""
    written: float
    """Of an answer that is written freely; 0 where no metric asks for one."""
    example: float
    """Of a solved example."""

    def read(self, shots: int, seeds: int, family: Family, objective: Objective, context: int) -> float:
        """Tokens that a network reads and writes."""
        questions, shown = len(self.task.questions), min(shots * self.example, context)
        own = any(question.examples for question in self.task.questions)
        drawn = seeds if shots and not own else 1
        if not family.generates:  # the whole text is read for each token that is hidden, at the most
            return drawn * questions * self.weighed * (shown + self.prompt)
        # What all prompts begin with is read once, but where it is seen in both directions or read by an encoder.
        begin_alike = not own and not family.two_stacks and not objective.shows_prefix(family)
        written = self.written if can_write(family, objective, self.task) else 0.0
        return drawn * (shown * (1 if begin_alike else questions) + questions * (self.prompt + self.weighed + written))


@dataclass(frozen=True)
class ScoringWork:
    """What scoring the networks of a study takes."""

    evaluation: Evaluation
    corpus: TokenizedCorpus
    examples: Path | None = None
    """The file of labelled examples that copies are tuned on."""
    _read: dict[tuple[Family, Objective, int], float] = field(default_factory=dict)
    """Tokens that a network of a family, an objective and a context reads."""

    def once(self, run: RunSpec) -> float:
        """Training tokens that take as long as scoring the network of a run at one step."""
        network = run.shape.family_record, run.objective, run.shape.context
        if network not in self._read:
            seeds = len(self.evaluation.seeds)
            self._read[network] = sum(
                task.read(shots, seeds, *network) for task in self._tasks for shots in self.evaluation.shots
            )
        return SLOWER * FORWARD_SHARE * self._read[network] + self._tuned_on

    def of_run(self, run: RunSpec) -> float:
        """The same, for all steps at which the run is scored."""
        return self.once(run) * len(self.evaluation.steps(run))

    def over_estimate(self, store: Store, speeds: Mapping[RunSpec, float]) -> float:
        """What scoring these runs has taken so far, over the estimate; 1 before any of them was scored.

        `speeds` are seconds per token that is trained on. Raises StoreError for scores that were changed.
        """
        took, guessed = 0.0, 0.0
        for run in list(speeds)[:: 1 + len(speeds) // MEASURED]:
            for scores in scores_of(store.folder, [run.key], self.evaluation.digest):
                took += scores.seconds
                guessed += self.once(run) * speeds[run]
        return took / guessed if took and guessed else 1.0

    def checks(self, runs: list[RunSpec]) -> list[Check]:
        """A doubt where scoring takes much of the time that training takes, by what both read."""
        steps = [one for trunk in group_by_trunk(runs) for one in own_steps(trunk)]
        training = sum(run.flops / run.steps * own for run, own in steps)
        share = sum(run.flops / run.tokens * self.of_run(run) for run in runs) / training
        if share < MUCH:
            return []
        told = f"scoring the networks on tasks takes an estimated {share:.2g} times what training them takes"
        cure = "ask fewer questions, shots or seeds, or score less often (evaluate.when)"
        return [Check("scoring", "doubt", told, cure)]

    @cached_property
    def _tasks(self) -> list[TaskTokens]:
        tokenizer = load_tokenizer(self.corpus.folder)
        return [task_tokens(tokenizer, task, self.evaluation.metrics) for task in self.evaluation.tasks]

    @cached_property
    def _tuned_on(self) -> float:
        """Tokens that the copies of one network are tuned on."""
        tuning = self.evaluation.tuning
        if tuning is None or self.examples is None:
            return 0.0
        tokens = self.examples.stat().st_size / (self.corpus.bytes_per_token or 1.0)
        return tokens * tuning.epochs * len(tuning.learning_rates) * tuning.seeds


def task_tokens(tokenizer: Tokenizer, task: PromptTask, metrics: Sequence[str]) -> TaskTokens:
    """The tokens of a task, from a sample of its questions."""

    def tokens(text: str) -> int:
        if isinstance(tokenizer, SymbolTokenizer):
            return len(text.split())
        return len(tokenizer.encode([text.encode()])[0]) if text else 0

    def solved(example: Question) -> int:
        return tokens(task.template.replace("{prompt}", example.prompt) + example.solved + task.between)

    questions = task.questions[:: 1 + len(task.questions) // LOOKED_AT]
    own = [example for question in questions for example in question.examples]
    names = metrics or task.metrics or (FOR_CHOICES if all(one.choices for one in task.questions) else FOR_ANSWERS)
    longest = max(tokens(question.answer) for question in questions)
    weighed = (sum(tokens(question.filled(one)) for one in question.candidates) for question in questions)
    return TaskTokens(
        task=task,
        prompt=fmean(tokens(task.prompt(question)) for question in questions),
        weighed=fmean(weighed),
        written=MOST_TIMES * longest + MOST_MORE if any(METRICS[name].writes for name in names) else 0,
        example=fmean(map(solved, (own or task.examples)[:LOOKED_AT])) if own or task.examples else 0.0,
    )
