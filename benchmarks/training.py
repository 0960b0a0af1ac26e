"""Speed of the training loop beside a plain PyTorch loop and transformers' GPT-2, interleaved; and bfloat16's loss.

usage: python benchmarks/training.py [--rounds 5] [--threads 2] [--seconds 1.0] [--same-process] [--losses]

Every contender trains the same network from the same weights on the same batches, with fused AdamW, clipping at 1.0
and cross-entropy, none compiled; before anything is timed, their losses must agree. Each has a process of its own, and
they take turns: a round times each once, for about `--seconds`. tokens/s are medians over the rounds, ratios are
medians of each round's ratio. `peak` is the best rate of a 1024 x 1024 product by any kernel of torch.
`--same-process` gives the others what training.process sets up for us (memory that is kept, faster products).
transformers is left out where it is not installed: pip install -c constraints.txt -e '.[bench]'.
`--losses` trains in both precisions for `--steps` and compares their validation losses instead.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from foretoken.compute.flops import training_flops
from foretoken.compute.shape import PRESETS, ModelShape
from foretoken.data import TokenizedCorpus, batch, prepare_corpus
from foretoken.runs.corpus_section import CorpusSection, LanguageSection
from foretoken.runs.spec import RunSpec
from foretoken.training.evaluate import evaluate
from foretoken.training.loop import advance
from foretoken.training.state import TrainState
from foretoken.training.torch_setup import float32_products, set_up

SHAPES = [(64, 4, 128, 16, 1024), (128, 4, 128, 16, 1024), (256, 6, 256, 8, 2048), (512, 8, 256, 4, 4096)]
"""d_model, layers, context, sequences, vocabulary."""
HEAD_WIDTH = 32
LEARNABLE = 64
"""Vocabulary for `--losses`: some hundred steps learn such a language, so that there is a loss to differ in."""
PRECISIONS = ("float32", "bfloat16")
NAMES = ("foretoken", "plain", "transformers")
TOLERANCE = {"float32": 1e-4, "bfloat16": 0.02}
"""Distance of the third step's losses: the same network, summed in another order or rounded at other places."""


class PlainBlock(nn.Module):
    """A block as tutorials write it."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).split(width, dim=2)
        q, k, v = (t.view(batch, length, self.heads, width // self.heads).transpose(1, 2) for t in (q, k, v))
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, width))
        return x + self.down(functional.gelu(self.up(self.norm2(x)), approximate="tanh"))


class PlainGPT(nn.Module):
    """GPT-2's network in forty lines of torch."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.position = nn.Embedding(shape.context, shape.width)
        self.blocks = nn.ModuleList(PlainBlock(shape.width, shape.heads) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.width)
        self.head = nn.Linear(shape.width, shape.vocabulary, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens) + self.position(torch.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def plain(shape: ModelShape, weights: dict[str, Tensor]) -> Callable[[Tensor], Tensor]:
    """The plain network with these weights."""
    network = PlainGPT(shape)
    names = {"attention_norm": "norm1", "feed_forward_norm": "norm2", "attention.": "", "feed_forward.": ""}
    network.load_state_dict({**renamed(weights, names), "head.weight": weights["embedding.weight"]})
    return network


def peer(shape: ModelShape, weights: dict[str, Tensor]) -> Callable[[Tensor], Tensor]:
    """transformers' GPT-2 with these weights. Raises ImportError where transformers is not installed."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=shape.vocabulary, n_positions=shape.context, n_embd=shape.width, n_layer=shape.layers,
        n_head=shape.heads, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, use_cache=False,
        attn_implementation="sdpa", bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    network = GPT2LMHeadModel(config)
    names = {
        "embedding": "transformer.wte", "position": "transformer.wpe", "blocks": "transformer.h",
        "attention_norm": "ln_1", "feed_forward_norm": "ln_2", "attention.qkv": "attn.c_attn",
        "attention.out": "attn.c_proj", "feed_forward.up": "mlp.c_fc", "feed_forward.down": "mlp.c_proj",
    }  # fmt: skip
    theirs = {f"transformer.ln_f{name[4:]}" if name.startswith("norm.") else name: w for name, w in weights.items()}
    theirs = renamed(theirs, names)
    theirs = {name: w.t() if ".c_" in name and w.ndim == 2 else w for name, w in theirs.items()}
    network.load_state_dict({**theirs, "lm_head.weight": weights["embedding.weight"]})
    return lambda tokens: network(input_ids=tokens).logits, network


def renamed(weights: dict[str, Tensor], names: dict[str, str]) -> dict[str, Tensor]:
    """Weights under another code's names."""
    result = {}
    for name, weight in weights.items():
        for ours, theirs in names.items():
            name = name.replace(ours, theirs)
        result[name] = weight
    return result


class Plain:
    """The loop that a competent person writes, around any network."""

    def __init__(self, made: Any, spec: RunSpec, corpus: TokenizedCorpus) -> None:
        self.forward, self.network = made if isinstance(made, tuple) else (made, made)
        self.spec, self.corpus, self.step, self.losses = spec, corpus, 0, []
        matrices = [weight for weight in self.network.parameters() if weight.ndim >= 2]
        vectors = [weight for weight in self.network.parameters() if weight.ndim < 2]
        groups = [{"params": matrices, "weight_decay": spec.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=spec.learning_rate, betas=(spec.beta1, spec.beta2), fused=True)
        self.network.train()

    def loss(self) -> Tensor:
        """The loss of the step's batch."""
        spec = self.spec
        window = spec.objective.window(spec.shape)
        text = torch.from_numpy(
            batch(self.corpus, seed=spec.seed, step=self.step, sequences=spec.sequences, window=window)
        )
        inputs, targets = text[:, :-1], text[:, 1:]
        with torch.autocast("cpu", torch.bfloat16, enabled=spec.in_bfloat16):
            return functional.cross_entropy(self.forward(inputs).flatten(0, 1), targets.flatten())

    def train(self, steps: int) -> None:
        for _ in range(steps):
            loss = self.loss()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.spec.clip)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            self.losses.append(loss.item())
            self.step += 1


class Ours:
    """The loop of foretoken.training."""

    def __init__(self, spec: RunSpec, corpus: TokenizedCorpus) -> None:
        self.state, self.spec, self.corpus = TrainState.start(spec), spec, corpus

    def train(self, steps: int) -> None:
        advance(self.state, self.spec, self.corpus, self.state.step + steps, lambda state: None)

    @property
    def losses(self) -> list[float]:
        return self.state.window


def contender(name: str, spec: RunSpec, corpus: TokenizedCorpus) -> Any:
    """A loop by its name."""
    if name == "foretoken":
        return Ours(spec, corpus)
    weights = TrainState.start(spec).network.state_dict()
    return Plain((plain if name == "plain" else peer)(spec.shape, weights), spec, corpus)


def serve(
    pipe: Any, name: str, spec: RunSpec, corpus: TokenizedCorpus, same_process: bool, make: Callable[..., Any]
) -> None:
    """A contender's process: the loss of the third step first, then the seconds of as many steps as it is asked."""
    ours = name == "foretoken" or same_process
    (set_up if ours else torch.set_num_threads)(spec.threads)
    try:
        loop = make(name, spec, corpus)
    except ImportError:
        pipe.send(None)
        return
    with float32_products() if ours else nullcontext():
        loop.train(3)
        pipe.send(loop.losses[2])
        while steps := pipe.recv():
            pipe.send(seconds(lambda steps=steps: loop.train(steps)))


class Racer:
    """A contender in a process of its own."""

    def __init__(self, name: str, spec: RunSpec, corpus: TokenizedCorpus, options: argparse.Namespace) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        make = getattr(options, "contender", contender)
        arguments = (theirs, name, spec, corpus, options.same_process, make)
        self.process = context.Process(target=serve, args=arguments, daemon=True)
        self.process.start()
        self.loss = self.pipe.recv()
        self.name, self.precision, self.tokens = name, spec.precision, spec.batch_tokens
        self.speeds: list[float] = []
        if self.loss is not None:
            self.steps = max(2, round(options.seconds / (self.time(3) / 3)))

    def time(self, steps: int) -> float:
        self.pipe.send(steps)
        passed: float = self.pipe.recv()
        return passed

    def race(self) -> None:
        self.speeds.append(self.steps * self.tokens / self.time(self.steps))
        time.sleep(0.2)  # until the idle threads of this process sleep

    def end(self) -> None:
        if self.loss is not None:
            self.pipe.send(0)
        self.process.join()


def seconds(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def peak_of(dtype: torch.dtype, products: Any) -> float:
    """Best FLOP/s of a square product."""
    left, right = torch.ones(1024, 1024, dtype=dtype), torch.ones(1024, 1024, dtype=dtype)
    with products:
        return 2.0 * 1024**3 / min(seconds(lambda: left @ right) for _ in range(8))


def peaks() -> dict[str, float]:
    """float32 as torch multiplies by default, float32 by any kernel, bfloat16."""
    default = peak_of(torch.float32, nullcontext())
    best = max(default, peak_of(torch.float32, float32_products()))
    return {"torch.mm": default, "float32": best, "bfloat16": peak_of(torch.bfloat16, nullcontext())}


def make_spec(shape: tuple[int, ...], precision: str, threads: int, corpus: TokenizedCorpus) -> RunSpec:
    width, layers, context, sequences, vocabulary = shape
    model = ModelShape(
        layers=layers, width=width, heads=width // HEAD_WIDTH, context=context, vocabulary=vocabulary,
        **PRESETS["gpt2"],  # type: ignore[arg-type]
    )  # fmt: skip
    tokens = sequences * context
    return RunSpec(
        shape=model,
        tokens=tokens * 10**6,
        batch_tokens=tokens,
        learning_rate=1e-3,
        warmup_tokens=tokens,
        schedule="wsd",
        cooldown=1e-6,
        final_learning_rate_share=0.0,
        weight_decay=0.1,
        beta1=0.9,
        beta2=0.95,
        clip=1.0,
        precision=precision,
        threads=threads,
        seed=0,
        corpus=corpus.address,
        tokenizer="",
        eval_set="",
        eval_tokens=65536,
        software="",
        repeat=True,
    )


def make_corpus(vocabulary: int, folder: Path) -> TokenizedCorpus:
    language = LanguageSection(symbols=vocabulary, tokens=4e6)
    return prepare_corpus(CorpusSection(source="zipf_markov", language=language), folder, 0)


def compare(shape: tuple[int, ...], corpus: TokenizedCorpus, options: argparse.Namespace) -> None:
    """Time all contenders in both precisions at one shape and print a line for each."""
    specs = {precision: make_spec(shape, precision, options.threads, corpus) for precision in options.precisions}
    racers = [Racer(name, spec, corpus, options) for spec in specs.values() for name in NAMES]
    racers = [racer for racer in racers if racer.loss is not None]
    for precision, near in TOLERANCE.items():
        losses = [racer.loss for racer in racers if racer.precision == precision]
        assert max(losses, default=0.0) - min(losses, default=0.0) < near, losses
    peak = peaks()
    for _ in range(options.rounds):
        for racer in racers:
            racer.race()
        peak = {name: max(value, peak[name]) for name, value in peaks().items()}
    for racer in racers:
        racer.end()
    rates = ", ".join(f"{name} {value / 1e9:.0f}" for name, value in peak.items())
    print(f"\nd_model {shape[0]}, layers {shape[1]}, context {shape[2]}, sequences {shape[3]}, vocabulary {shape[4]}")
    print(f"peaks in GFLOP/s: {rates}")
    flops = training_flops(next(iter(specs.values())).shape, 1.0)
    ours = {racer.precision: racer.speeds for racer in racers if racer.name == "foretoken"}
    for racer in racers:
        print(line(racer, ours, flops, peak), flush=True)


def line(racer: Racer, ours: dict[str, list[float]], flops: float, peak: dict[str, float]) -> str:
    """Speed, share of the peak, and the ratio to our loop; of our bfloat16, the ratio to our float32."""
    median = statistics.median(racer.speeds)
    share = flops * median / peak[racer.precision]
    text = f"{racer.precision:9s} {racer.name:13s} {median:8.0f} tokens/s {share:6.0%} of peak"
    text += f" ({flops * median / peak['torch.mm']:.0%} of torch.mm's)" if racer.precision == "float32" else ""
    if racer.name != "foretoken":
        text += f"; foretoken is {against(ours[racer.precision], racer.speeds)} times as fast"
    elif racer.precision == "bfloat16" and "float32" in ours:
        text += f"; {against(racer.speeds, ours['float32'])} times its float32"
    return text


def against(ours: list[float], theirs: list[float]) -> str:
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def losses(shape: tuple[int, ...], corpus: TokenizedCorpus, options: argparse.Namespace) -> None:
    """Train both precisions for `--steps` with cooldown and print the validation losses."""
    found = {}
    for precision in PRECISIONS:
        spec = make_spec(shape, precision, options.threads, corpus)
        spec = replace(
            spec, tokens=options.steps * spec.batch_tokens, cooldown=0.2, warmup_tokens=20 * spec.batch_tokens
        )
        state = TrainState.start(spec)
        advance(state, spec, corpus, spec.steps, lambda state: None)
        found[precision] = evaluate(state, spec, corpus)
    (loss, se), other = (found["float32"].loss, found["float32"].loss_se), found["bfloat16"].loss
    print(f"{shape} after {options.steps} steps, entropy rate of the language {corpus.entropy_rate:.3f}:")
    print(
        f"float32 {loss:.5f} +- {se:.5f}, bfloat16 {other:.5f}: {(other - loss) / se:+.2f} standard errors", flush=True
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--same-process", action="store_true")
    parser.add_argument("--losses", action="store_true")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--shapes", type=int, nargs="+", default=[0, 1, 2, 3])
    parser.add_argument("--precisions", nargs="+", default=PRECISIONS)
    options = parser.parse_args()
    set_up(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        for index in options.shapes:
            shape = (*SHAPES[index][:4], LEARNABLE) if options.losses else SHAPES[index]
            corpus = make_corpus(shape[4], Path(folder))
            (losses if options.losses else compare)(shape, corpus, options)


if __name__ == "__main__":
    main()
