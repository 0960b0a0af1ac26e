"""Network -> scores: loss on a text, labelled tasks, tuning, metrics with their doubts, tasks of known ceilings."""

from foretoken.evals.continue_training import Choices, Continued, continue_training
from foretoken.evals.finetune import finetune
from foretoken.evals.finetuning_loop import Options, fine_tune
from foretoken.evals.generated import generated_task
from foretoken.evals.result import Outcome, Tuning
from foretoken.evals.scores import Mean
from foretoken.evals.switching import SwitchingLanguage, switching_language
from foretoken.evals.tasks import Example, Task, mixture
from foretoken.evals.text import TextLoss, evaluate

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
