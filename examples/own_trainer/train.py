"""A small decoder in plain PyTorch, as a trainer of your own may look: it knows nothing of foretoken.

It reads files of tokens, saves itself now and then, and leaves its validation loss in DIR/metrics.jsonl.
"""

import argparse
import json
import math
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, rms_norm, scaled_dot_product_attention, silu

parser = argparse.ArgumentParser()
for name in ("width", "layers", "heads", "feed_forward", "context", "vocabulary", "batch_tokens", "steps", "seed"):
    parser.add_argument(f"--{name}", type=int, required=True)
for name in ("learning_rate", "warmup_tokens", "cooldown", "weight_decay"):
    parser.add_argument(f"--{name}", type=float, required=True)
parser.add_argument("--data", type=Path, required=True)
parser.add_argument("--out", type=Path, required=True)
parser.add_argument("--resume", type=Path)
a = parser.parse_args()


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.o = nn.Linear(a.width, 3 * a.width, bias=False), nn.Linear(a.width, a.width, bias=False)
        self.up, self.down = (
            nn.Linear(a.width, 2 * a.feed_forward, bias=False),
            nn.Linear(a.feed_forward, a.width, bias=False),
        )
        self.norms = nn.Parameter(torch.ones(2, a.width))

    def forward(self, x, cos, sin):
        q, k, v = (
            self.qkv(rms_norm(x, (a.width,), self.norms[0])).unflatten(-1, (3, a.heads, -1)).permute(2, 0, 3, 1, 4)
        )
        q, k = (torch.cat([u * cos - w * sin, w * cos + u * sin], -1) for u, w in (t.chunk(2, -1) for t in (q, k)))
        x = x + self.o(scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2))
        gate, up = self.up(rms_norm(x, (a.width,), self.norms[1])).chunk(2, -1)
        return x + self.down(silu(gate) * up)


class Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(a.vocabulary, a.width)
        self.blocks, self.norm = nn.ModuleList(Block() for _ in range(a.layers)), nn.Parameter(torch.ones(a.width))
        half = a.width // a.heads // 2
        angle = torch.outer(torch.arange(a.context), 10_000.0 ** (-torch.arange(half) / half))
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)
        for name, weight in self.named_parameters():
            if weight.ndim == 2 and "norm" not in name:
                into_residual = math.sqrt(2 * a.layers) if name.endswith(("o.weight", "down.weight")) else 1.0
                nn.init.normal_(weight, 0.0, 0.02 * math.sqrt(768 / a.width) / into_residual)

    def forward(self, tokens):
        x = self.embedding(tokens[:, :-1])
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        logits = rms_norm(x, (a.width,), self.norm) @ self.embedding.weight.T
        return cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())


def windows(split: str, starts: np.ndarray) -> torch.Tensor:
    tokens = np.memmap(a.data / f"{split}.bin", dtype="u1" if a.vocabulary <= 256 else "<u2", mode="r")
    return torch.from_numpy(np.stack([tokens[s : s + a.context + 1] for s in starts * a.context]).astype(np.int64))


torch.manual_seed(a.seed)
model = Decoder()
vectors = [weight for name, weight in model.named_parameters() if "norm" in name]
matrices = [weight for name, weight in model.named_parameters() if "norm" not in name]
groups = [{"params": matrices, "weight_decay": a.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
optimizer = torch.optim.AdamW(groups, lr=a.learning_rate, betas=(0.9, 0.95))
number = (Path(a.data / "train.bin").stat().st_size // (1 if a.vocabulary <= 256 else 2) - 1) // a.context
order = np.random.default_rng(a.seed).permutation(number)
warmup, fork, begin = max(1, round(a.warmup_tokens / a.batch_tokens)), a.steps - max(1, round(a.cooldown * a.steps)), 0
if a.resume:
    saved = torch.load(a.resume, weights_only=True)
    model.load_state_dict(saved["model"]), optimizer.load_state_dict(saved["optimizer"])
    begin = saved["step"]
for step in range(begin, a.steps):
    share = min(1.0, (step + 1) / warmup) if step < fork else 1.0 - math.sqrt((step - fork + 1) / (a.steps - fork + 1))
    for group in optimizer.param_groups:
        group["lr"] = a.learning_rate * share
    at_once = a.batch_tokens // a.context
    loss = model(windows("train", order[np.arange(step * at_once, (step + 1) * at_once) % number]))
    optimizer.zero_grad(), loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if (step + 1) % 100 == 0:
        print(f"step {step + 1}/{a.steps} loss {loss.item():.4f}", flush=True)
        torch.save(
            {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1}, a.out / "new.pt"
        )
        (a.out / "new.pt").replace(a.out / "last.pt")
with torch.no_grad():
    held_out = (Path(a.data / "validation.bin").stat().st_size // (1 if a.vocabulary <= 256 else 2) - 1) // a.context
    loss = np.mean([model(windows("validation", part)).item() for part in np.array_split(np.arange(held_out), 32)])
with (a.out / "metrics.jsonl").open("a") as file:
    file.write(json.dumps({"step": a.steps, "tokens": a.steps * a.batch_tokens, "val_loss": float(loss)}) + "\n")
