"""The line of `foretoken finetune`: a model on disk and labelled examples in files -> scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from foretoken.evals.finetuning_loop import Options, fine_tune
from foretoken.evals.result import Tuning
from foretoken.evals.task_files import read_task
from foretoken.evals.tasks import check_mixing, mixture
from foretoken.generation import open_model
from foretoken.generation.load import Source


def finetune(
    source: Source,
    task: str | Path | Sequence[str | Path],
    kind: str,
    *,
    seeds: int = 5,
    from_scratch: bool = False,
    options: Options | None = None,
    classes: Sequence[str] = (),
    cut: int = 0,
    cap: int = 65_536,
    temperature: float = 1.0,
    run: str | None = None,
) -> Tuning:
    """Tune a model on labelled examples, with the seeds 0, 1, ..., and score it on those that are held out.

    `source` is a study with kept weights (its target, or the `run` whose key begins so), or a folder of safetensors;
    `task` a file (task_files.read_task). Several files of text-to-text examples are one mixture (tasks.mixture, with
    `cap` and `temperature`). The model is not changed. Raises TaskError, before anything is trained, for examples that
    cannot be used or that the model cannot do, and for a `cap` or `temperature` that cannot be; what `open_model` and
    `fine_tune` raise.
    """
    check_mixing(cap, temperature)
    paths = [task] if isinstance(task, str | Path) else list(task)
    model = open_model(source, run)
    read = [read_task(path, kind, model.tokenizer, classes=classes, cut=cut) for path in paths]
    whole = read[0] if len(read) == 1 else mixture(read, cap=cap, temperature=temperature)
    return fine_tune(
        model.network, whole, options, specials=model.specials, seeds=range(seeds), from_scratch=from_scratch
    )
