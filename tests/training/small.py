"""A run of a few seconds that the tests of training vary."""

from __future__ import annotations

from dataclasses import replace

from foretoken.compute.shape import ModelShape
from foretoken.runs.spec import RunSpec

SPEC = RunSpec(
    shape=ModelShape(layers=1, width=16, heads=2, context=16, vocabulary=32, norm="rms", bias=False),
    tokens=40 * 256,
    batch_tokens=256,
    learning_rate=2e-2,
    warmup_tokens=4 * 256,
    schedule="wsd",
    cooldown=0.25,
    final_learning_rate_share=0.0,
    weight_decay=0.1,
    beta1=0.9,
    beta2=0.95,
    clip=1.0,
    precision="float32",
    threads=1,
    seed=0,
    corpus="c",
    tokenizer="t",
    eval_set="v",
    eval_tokens=1024,
    software="s",
)
SHORT = replace(SPEC, shape=ModelShape(layers=1, width=16, heads=2, context=16, vocabulary=32), tokens=20 * 256)
"""Half as long, with the norms and biases of GPT-2."""
