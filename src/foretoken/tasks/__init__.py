"""Tasks that a model is scored on as it is: questions, examples shown before them, metrics. No torch here."""

from __future__ import annotations

from foretoken.tasks.files import read_prompt_task
from foretoken.tasks.metrics import METRICS
from foretoken.tasks.task import PromptTask, Question

__all__ = ["METRICS", "PromptTask", "Question", "read_prompt_task"]
