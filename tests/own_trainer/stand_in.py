"""A trainer of somebody else's, as far as foretoken can see: it reads its size from its arguments and leaves a loss.

It misbehaves as `--fault` asks, so that what becomes of its runs can be looked at.
"""

import argparse
import json
import os
import random
import sys
import time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--params", type=float)
parser.add_argument("--tokens", type=float)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--out", type=Path)
parser.add_argument("--fault", default="")
parser.add_argument("--resume", type=Path)
options = parser.parse_args()

loss = 1.7 + 400 / options.params**0.34 + 410 / options.tokens**0.28
loss += random.Random(options.seed + options.params + options.tokens).gauss(0, 0.003)
starts = options.out / "starts"
count = int(starts.read_text()) + 1 if starts.exists() else 1
starts.write_text(str(count))
if options.fault == "every third" and count == 1 and int(options.params) % 3 == 0:
    sys.exit("CUDA error: out of memory")
if options.fault == "dies half way" and not options.resume:
    (options.out / "half.ckpt").write_text("step 50")
    os.kill(os.getpid(), 9)
if options.fault == "exits without":
    sys.exit(0)
if options.fault == "slow":
    time.sleep(1)
if options.fault != "silent":
    for step in (50, 100):
        print(f"step {step}/100 loss {loss + 50 / step:.4f}", flush=True)
if options.fault == "late" and os.fork():
    sys.exit(0)  # its child goes on, as a result on a slow file server does
if options.fault == "late":
    time.sleep(0.5)
print("threads", os.environ.get("OMP_NUM_THREADS"), flush=True)
result = {"loss": float("nan") if options.fault == "nan" else loss, "tokens": options.tokens}
if options.fault == "other length":
    result["tokens"] *= 0.5
if options.fault == "garbage":
    (options.out / "result.json").write_text('{"loss": ')
else:
    (options.out / "result.json").write_text(json.dumps(result))
