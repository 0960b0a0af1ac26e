"""Network -> scores: loss on a text, labelled tasks, tuning, metrics with their doubts, tasks of known ceilings."""

from foretoken.evals.continuing import Choices, Continued, continue_training
from foretoken.evals.files import finetune
from foretoken.evals.generated import generated_task
from foretoken.evals.result import Outcome, Tuning
from foretoken.evals.scores import Mean
from foretoken.evals.switching import SwitchingLanguage, switching_language
from foretoken.evals.tasks import Example, Task, mixture
from foretoken.evals.text import TextLoss, evaluate
from foretoken.evals.tuning import Options, fine_tune

__all__ = [
    "Choices",
    "Continued",
    "Example",
    "Mean",
    "Options",
    "Outcome",
    "SwitchingLanguage",
    "Task",
    "TextLoss",
    "Tuning",
    "continue_training",
    "evaluate",
    "fine_tune",
    "finetune",
    "generated_task",
    "mixture",
    "switching_language",
]
