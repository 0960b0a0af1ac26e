"""Network -> scores: loss on a text, fine-tuning on labelled tasks, continued training, metrics and their errors."""

from foretoken.evals.continue_training import ContinuedTraining, ContinueRequest, continue_training
from foretoken.evals.evaluate import TextLoss, evaluate
from foretoken.evals.finetune import FinetuneRequest, FinetuneResult, SeedResult, finetune, tune
from foretoken.evals.metrics import METRICS, SeedMean
from foretoken.evals.options import ContinueOptions, TuningOptions
from foretoken.evals.tasks import Example, Task, mixture
from foretoken.evals.windows import DomainLoss
from foretoken.runs.spec import Precision

__all__ = [
    "METRICS",
    "ContinueOptions",
    "ContinueRequest",
    "ContinuedTraining",
    "DomainLoss",
    "Example",
    "FinetuneRequest",
    "FinetuneResult",
    "Precision",
    "SeedMean",
    "SeedResult",
    "Task",
    "TextLoss",
    "TuningOptions",
    "continue_training",
    "evaluate",
    "finetune",
    "mixture",
    "tune",
]
