"""Tokens per second of `sample` and of transformers' generate, with the same weights and a cache, side by side.

usage: python benchmarks/generation_speed.py [--widths 64 256] [--tokens 200] [--rounds 7]

Both take the likeliest token, one text at a time, on one thread. They take turns, so that what else the machine does
slows both; the medians of the rounds are compared.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable

import torch

from foretoken.compute.objective import Objective
from foretoken.compute.shape import PRESETS, ModelShape
from foretoken.data.tokenizer import ByteTokenizer
from foretoken.generation import Model, sample
from foretoken.models import build, save_pretrained

PROMPT = "The cat sat on the"


def seconds(write: Callable[[], int]) -> float:
    """Seconds per token."""
    start = time.perf_counter()
    written = write()
    return (time.perf_counter() - start) / written


def compare(width: int, tokens: int, rounds: int, preset: str) -> dict[str, float]:
    """Medians of both, in tokens per second."""
    import transformers

    sizes = {"layers": 4, "width": width, "heads": width // 32, "context": 512, "vocabulary": 256}
    network = build(ModelShape(**sizes, **PRESETS[preset]), seed=0).eval()  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as folder:
        save_pretrained(network, folder)
        theirs = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    # No token ends a text, so that both write equally many.
    tokenizer = ByteTokenizer(separator=None)
    model = Model(name="random", network=network, tokenizer=tokenizer, objective=Objective(), specials={})
    prompt = torch.tensor([list(PROMPT.encode())])
    options = {"max_new_tokens": tokens, "min_new_tokens": tokens, "do_sample": False, "use_cache": True}

    def ours() -> int:
        return len(sample(model, PROMPT, tokens=tokens, temperature=0).samples[0].tokens)

    def reference() -> int:
        with torch.inference_mode():
            found = theirs.generate(prompt, attention_mask=torch.ones_like(prompt), pad_token_id=0, **options)
        return found.shape[1] - prompt.shape[1]

    times = [(seconds(ours), seconds(reference)) for _ in range(rounds + 1)][1:]  # the first warms both up
    here, there = (1 / statistics.median(part) for part in zip(*times, strict=True))
    return {"width": width, "ours": round(here), "transformers": round(there), "times": round(here / there, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--preset", default="llama", choices=["llama", "gpt2"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for width in options.widths:
        print(json.dumps(compare(width, options.tokens, options.rounds, options.preset)))


if __name__ == "__main__":
    main()
