"""Five generated tasks of known ceilings: small pretrained models against the same models from random weights.

usage: python benchmarks/fine_tuning.py [--seeds 0 1 2 3 4] [--tasks single pair choice labels text-to-text]

A decoder, an encoder and an encoder-decoder are pretrained once each on one switching language (switching_language.py),
each by its own objective, then tuned on few labelled examples. Each seed draws examples (learned from, stopped by and
scored on), head and order; both arms choose among the same learning rates by validation loss. The intervals are over
these seeds; pretraining is not repeated.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from foretoken.compute.objective import Objective
from foretoken.compute.shape import PRESETS, ModelShape
from foretoken.evals import FinetuneResult, Task, TuningOptions, tune
from foretoken.models import Network, build
from foretoken.objectives import ExampleBuilder, make_examples
from foretoken.objectives.loss import losses
from foretoken.training.torch_setup import float32_products, keep_memory
from generated_tasks import generated_task
from switching_language import SwitchingLanguage, switching_language

FAMILIES = {
    "decoder": ("llama", "causal", ("single", "pair", "choice")),
    "encoder": ("encoder", "masked", ("labels",)),
    "encoder-decoder": ("t5_v1_1", "span_corruption", ("text-to-text",)),
}
"""What each is made like, what it is pretrained with, and its tasks."""
SIZES = {"layers": 2, "width": 64, "heads": 4, "context": 40}
SEQUENCES, PEAK, WARMUP = 64, 3e-3, 100
EXAMPLES = {"single": 64, "pair": 512, "choice": 256, "labels": 64, "text-to-text": 64}
"""Labelled examples to learn from: more where one example tells less of the rule."""
TRIED = TuningOptions(learning_rates=(3e-4, 1e-3, 3e-3))


def start(preset: str, objective: Objective, language: SwitchingLanguage, seed: int) -> tuple[Network, ExampleBuilder]:
    """A network of random weights, and what makes its examples; one number is kept free for hidden tokens."""
    text = language.symbols + 1
    shape = ModelShape(**{**SIZES, "vocabulary": text, **PRESETS[preset]})  # type: ignore[arg-type]
    specials = {name: text + number for number, name in enumerate(objective.specials(shape))}
    shape = replace(shape, vocabulary=text + len(specials))
    objective.check(shape)
    builder = ExampleBuilder(objective=objective, shape=shape, text_vocabulary=language.symbols, specials=specials)
    return build(shape, seed), builder


@float32_products()
def pretrain(network: Network, builder: ExampleBuilder, language: SwitchingLanguage, steps: int, seed: int) -> float:
    """Pretrain in place; gives the mean loss of the last tenth of the steps."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=PEAK, weight_decay=0.01, fused=True)
    rng, seen = np.random.default_rng([seed, 2]), []
    window = builder.objective.window(builder.shape).length
    for step in range(steps):
        text, _ = language.sample(SEQUENCES, window, rng)
        loss = losses(network, make_examples(builder, text, rng))[0].mean()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = PEAK * min((step + 1) / WARMUP, (steps - step) / max(1, steps - WARMUP))
        optimizer.step()
        optimizer.zero_grad()
        seen.append(loss.item())
    return float(np.mean(seen[-steps // 10 :]))


def drawn(name: str, language: SwitchingLanguage, seed: int) -> Task:
    """The task of one seed."""
    return generated_task(name, language, train=EXAMPLES[name], seed=seed)


def line(found: FinetuneResult, family: str) -> str:
    """One line of the table."""
    score, scratch, gain = found.score, found.scratch_score, found.difference
    assert scratch is not None
    assert gain is not None
    cells = [f"{one.mean:.3f}" + ("" if one.se is None else f" ± {one.se:.3f}") for one in (score, scratch)]
    interval = "" if gain.low is None else f" ({gain.low:+.3f} to {gain.high:+.3f})"
    place = f"{found.task.name:13} {family:16} {len(found.task.train):8} {found.task.ceiling:<8.3f}"
    return f"{place} {cells[0]:15} {cells[1]:15} {gain.mean:+.3f}{interval}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--steps", type=int, default=1500, help="of pretraining")
    parser.add_argument("--tasks", nargs="+", default=list(EXAMPLES))
    parser.add_argument("--out", type=Path, help="keep the numbers here, as JSON")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_memory()
    language, rows = switching_language(), []
    print(f"{'task':13} {'family':16} examples {'ceiling':8} {'pretrained':15} {'random':15} difference (95 %)")
    for family, (preset, kind, tasks) in FAMILIES.items():
        wanted = [task for task in tasks if task in options.tasks]
        if not wanted:
            continue
        began = time.process_time()
        network, builder = start(preset, Objective(kind=kind), language, options.seeds[0])
        loss = pretrain(network, builder, language, options.steps, options.seeds[0])
        print(
            f"# {family}: {options.steps} steps in {time.process_time() - began:.0f} s of one core, loss {loss:.3f}",
            flush=True,
        )
        for name in wanted:
            began = time.process_time()
            make = partial(drawn, name, language)
            found = tune(network, make, TRIED, specials=builder.specials, seeds=options.seeds, from_scratch=True)
            print(line(found, family), f"  [{time.process_time() - began:.0f} s]", flush=True)
            rows.append({"family": family, "pretraining_loss": loss, **found.to_json()})
    if options.out is not None:
        options.out.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
