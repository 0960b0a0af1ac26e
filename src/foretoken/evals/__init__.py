"""Network -> scores: labelled tasks, fine-tuning on them, metrics with their doubts, tasks of known ceilings."""

from foretoken.evals.files import finetune
from foretoken.evals.generated import generated_task
from foretoken.evals.result import Outcome, Tuning
from foretoken.evals.scores import Mean
from foretoken.evals.switching import SwitchingLanguage, switching_language
from foretoken.evals.tasks import Example, Task, mixture
from foretoken.evals.tuning import Options, fine_tune

__all__ = [
    "Example",
    "Mean",
    "Options",
    "Outcome",
    "SwitchingLanguage",
    "Task",
    "Tuning",
    "fine_tune",
    "finetune",
    "generated_task",
    "mixture",
    "switching_language",
]
