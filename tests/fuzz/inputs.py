"""The kinds of input: what is drawn of each, and what is done with it.

`Kind.strategy` draws plain data; `Kind.act(drawn, folder)` writes it into an empty folder and reads it the way a user
would. It returns when the input is accepted, raises ForetokenError when it is refused, and anything else is a defect.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from .bombs import BOMBS, read_accelerators, read_bomb, toml_files
from .checkpoints import checkpoints, read_checkpoint
from .corpora import CORPORA, read_corpus
from .fit_files import FIT_VERBS, WORDS, fit_files, fit_parts, read_fit, read_parts, read_words
from .model_inputs import read_task_file, read_tokenizer_file, task_files, tokenizer_files
from .results import RESULTS, read_own_result
from .run_tables import TABLES, read_run_table
from .score_tables import SCORE_TABLES, read_score_table
from .study_files import STUDY_BYTES, read_study
from .study_folders import read_folder, study_folders


@dataclass(frozen=True)
class Kind:
    """One kind of input."""

    strategy: st.SearchStrategy[Any]
    act: Callable[[Any, Path], object]
    share: float
    """Of all inputs of a campaign; slow kinds get fewer."""


KINDS = {
    "study files": Kind(STUDY_BYTES, read_study, 0.2),
    "run tables": Kind(TABLES, read_run_table, 0.18),
    "score tables": Kind(SCORE_TABLES, read_score_table, 0.02),
    "options": Kind(WORDS, read_words, 0.1),
    "fit files": Kind(fit_files(), read_fit, 0.14),
    "parts of fits": Kind(st.tuples(fit_parts(), FIT_VERBS), read_parts, 0.1),
    "bombs": Kind(BOMBS, read_bomb, 0.04),
    "accelerators": Kind(toml_files(), read_accelerators, 0.04),
    "study folders": Kind(study_folders(), read_folder, 0.06),
    "checkpoints": Kind(checkpoints(), read_checkpoint, 0.12),
    "results": Kind(RESULTS, read_own_result, 0.04),
    "corpora": Kind(CORPORA, read_corpus, 0.12),
    "tokenizer files": Kind(tokenizer_files(), read_tokenizer_file, 0.04),
    "task files": Kind(task_files(), read_task_file, 0.04),
}
