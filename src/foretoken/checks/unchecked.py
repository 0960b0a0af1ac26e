"""What the doctor could not look at: checks whose columns a table does not have, or has only in part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

NEEDS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("points that share a trajectory", ("shared_trajectories", "undeclared_trajectories"), ("parent", "run")),
    ("learning rates that were not brought down", ("unannealed_points",), ("annealed", "schedule")),
    ("points on the way of a schedule set for a longer run", ("wrong_horizon",), ("schedule",)),
    ("warm-up that takes a large share of short runs", ("long_warmup",), ("warmup_tokens",)),
    ("a learning rate at the end of its sweep", ("learning_rate_edge", "one_learning_rate"), ("learning_rate",)),
    ("a batch at the end of its sweep", ("batch_edge",), ("batch_tokens",)),
    ("the embedding's share of N", ("embedding_share",), ("params_non_embedding",)),
    ("active parameters that differ from all", ("active_differs",), ("params_active",)),
    ("attention left out of the FLOPs", ("attention_left_out",), ("layers",)),
    ("tokens seen more than once", ("repeated_tokens",), ("unique_tokens",)),
    ("diverged runs", ("diverged_runs",), ("status",)),
    ("several validation sets", ("mixed_eval_sets",), ("eval_set",)),
    ("several tokenizers", ("mixed_tokenizers",), ("tokenizer",)),
    ("several corpora", ("mixed_corpora",), ("corpus",)),
    ("recorded FLOPs against 6 N D", ("flops_inconsistent",), ("flops",)),
)
"""What is looked for, its codes, and columns any one of which allows it."""


def unchecked(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Checks that a table's columns do not allow: [{what, codes, columns}], where `columns` are what would allow it.

    >>> import pandas as pd
    >>> [entry["columns"] for entry in unchecked(pd.DataFrame({name: [1.0] for _, _, (name, *_) in NEEDS[1:]}))]
    [['parent', 'run']]
    """
    return [
        {"what": what, "codes": list(codes), "columns": list(columns)}
        for what, codes, columns in NEEDS
        if not any(name in frame and frame[name].notna().any() for name in columns)
    ]
