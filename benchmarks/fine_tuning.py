"""Five generated tasks of known ceilings: small pretrained models against the same models from random weights.

usage: python benchmarks/fine_tuning.py [--seeds 0 1 2 3 4] [--train 64] [--tasks single pair choice labels text-to-text]

A decoder, an encoder and an encoder-decoder are pretrained on one switching language (evals/switching.py), each by its
own objective, then tuned on few labelled examples. Each seed has weights, examples and orders of its own, the pretrained
network's included; both arms choose among the same learning rates by validation loss.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from foretoken.compute.objective import Objective
from foretoken.compute.shape import PRESETS, ModelShape
from foretoken.evals import Mean, Options, SwitchingLanguage, fine_tune, generated_task, switching_language
from foretoken.models import Network, build
from foretoken.objectives import Maker, make_examples
from foretoken.objectives.loss import losses
from foretoken.training.process import float32_products, keep_memory

FAMILIES = {
    "decoder": ("llama", "causal", ("single", "pair", "similarity", "choice")),
    "encoder": ("encoder", "masked", ("labels",)),
    "encoder-decoder": ("t5_v1_1", "span_corruption", ("text-to-text",)),
}
"""What each is made like, what it is pretrained with, and its tasks."""
SIZES = {"layers": 2, "width": 64, "heads": 4, "context": 40}
SEQUENCES, PEAK, WARMUP = 64, 3e-3, 100


def start(preset: str, objective: Objective, language: SwitchingLanguage, seed: int) -> tuple[Network, Maker]:
    """A network of random weights, and what makes its examples; one number is kept free for hidden tokens."""
    text = language.symbols + 1
    shape = ModelShape(**{**SIZES, "vocabulary": text, **PRESETS[preset]})  # type: ignore[arg-type]
    specials = {name: text + number for number, name in enumerate(objective.specials(shape))}
    shape = replace(shape, vocabulary=text + len(specials))
    objective.check(shape)
    maker = Maker(objective=objective, shape=shape, text_vocabulary=language.symbols, specials=specials)
    return build(shape, seed), maker


@float32_products()
def pretrain(network: Network, maker: Maker, language: SwitchingLanguage, steps: int, seed: int) -> float:
    """Pretrain in place; gives the mean loss of the last tenth of the steps."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=PEAK, weight_decay=0.01, fused=True)
    chance, seen = np.random.default_rng([seed, 2]), []
    window = maker.objective.window(maker.shape).length
    for step in range(steps):
        text, _ = language.sample(SEQUENCES, window, chance)
        loss = losses(network, make_examples(maker, text, chance))[0].mean()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = PEAK * min((step + 1) / WARMUP, (steps - step) / max(1, steps - WARMUP))
        optimizer.step()
        optimizer.zero_grad()
        seen.append(loss.item())
    return float(np.mean(seen[-steps // 10 :]))


def told(mean: Mean) -> str:
    """Mean and standard error."""
    return f"{mean.mean:.3f} ± {mean.se:.3f}" if mean.se is not None else f"{mean.mean:.3f}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--train", type=int, default=64)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--tasks", nargs="+", default=["single", "pair", "choice", "labels", "text-to-text"])
    parser.add_argument("--out", type=Path, help="keep the numbers here, as JSON")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_memory()
    language, rows = switching_language(), []
    print(f"{'task':13} {'family':16} {'ceiling':8} {'pretrained':15} {'random':15} difference (95 %)")
    for family, (preset, kind, tasks) in FAMILIES.items():
        wanted = [task for task in tasks if task in options.tasks]
        if not wanted:
            continue
        began = time.perf_counter()
        network, maker = start(preset, Objective(kind=kind), language, options.seeds[0])
        loss = pretrain(network, maker, language, options.steps, options.seeds[0])
        seconds = time.perf_counter() - began
        print(f"# {family}: {options.steps} steps in {seconds:.0f} s, loss {loss:.3f}", flush=True)
        for task in wanted:
            began = time.perf_counter()
            found = fine_tune(
                network,
                lambda seed, task=task: generated_task(task, language, train=options.train, seed=seed),
                Options(learning_rates=(3e-4, 1e-3, 3e-3)),
                specials=maker.specials,
                seeds=options.seeds,
                from_scratch=True,
            )
            score, scratch, gain = found.score, found.scratch_score, found.difference
            assert scratch is not None
            assert gain is not None
            assert found.task.ceiling is not None
            interval = "" if gain.low is None else f" ({gain.low:+.3f} to {gain.high:+.3f})"
            print(f"{task:13} {family:16} {found.task.ceiling:<8.3f} {told(score):15} {told(scratch):15} {gain.mean:+.3f}{interval}")
            print(f"#   {time.perf_counter() - began:.0f} s, rates {[one.learning_rate for one in found.tuned]} {[one.learning_rate for one in found.scratch]} epochs {[one.epochs for one in found.tuned]} {[one.epochs for one in found.scratch]}", flush=True)
            rows.append({"family": family, "pretraining_loss": loss, **found.to_json()})
    if options.out is not None:
        options.out.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
