"""What scoring on tasks takes: the tokens that are read, as training tokens that take as long; what it has taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean

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
from foretoken.tasks.metrics import METRICS, MOST_MORE, MOST_TIMES, metrics_of
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

    questions: int
    prompt: float
    """Of a question without examples."""
    answers: float
    """Of all that is weighed or written after it."""
    example: float
    """Of a solved example."""
    has_own_examples: bool
    """Whether each question shows its own."""

    def read(self, shots: int, seeds: int, context: int, *, shares: bool) -> float:
        """Tokens that a network reads; those of the examples once for all questions where it `shares` them."""
        drawn = seeds if shots and not self.has_own_examples else 1
        shown = min(shots * self.example, context)
        shown *= 1 if shares and not self.has_own_examples else self.questions
        return drawn * (shown + self.questions * (self.prompt + self.answers))


@dataclass(frozen=True)
class ScoringWork:
    """What scoring the networks of a study takes."""

    evaluation: Evaluation
    corpus: TokenizedCorpus
    examples: Path | None = None
    """The file of labelled examples that copies are tuned on."""

    def once(self, run: RunSpec) -> float:
        """Training tokens that take as long as scoring the network of a run at one step."""
        # What is seen in both directions, or read by an encoder, depends on all of the prompt.
        family = run.shape.family_record
        shares = not family.two_stacks and not run.objective.shows_prefix(family)
        read = sum(
            task.read(shots, len(self.evaluation.seeds), run.shape.context, shares=shares)
            for task in self._tasks
            for shots in self.evaluation.shots
        )
        return SLOWER * FORWARD_SHARE * read + self._tuned_on

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
        return tokens(task.template.replace("{prompt}", example.prompt) + example.answer + task.between)

    questions = task.questions[:: 1 + len(task.questions) // LOOKED_AT]
    own = [example for question in questions for example in question.examples]
    writes = any(METRICS[name].writes for name in metrics_of(task, metrics))
    longest = max(tokens(question.answer) for question in questions)
    weighed = (sum(map(tokens, question.choices or (question.answer,))) for question in questions)
    return TaskTokens(
        questions=len(task.questions),
        prompt=fmean(tokens(task.prompt(question)) for question in questions),
        answers=fmean(weighed) + (MOST_TIMES * longest + MOST_MORE if writes else 0),
        example=fmean(map(solved, (own or task.examples)[:LOOKED_AT])) if own or task.examples else 0.0,
        has_own_examples=bool(own),
    )
