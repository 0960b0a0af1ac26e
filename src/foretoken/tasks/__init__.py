"""Tasks that a model is scored on as it is: questions, examples shown before them, metrics. No torch here."""

from __future__ import annotations

from foretoken.tasks.task import PromptTask, Question

__all__ = ["PromptTask", "Question"]
