"""How long and in how much memory phrases are counted: one pass over made text, and an index of it.

    python benchmarks/counting.py                     # 100 MB, a minute
    python benchmarks/counting.py --megabytes 1000 --memory 512   # an index in shards of 85 MB; ten minutes

Each part runs in a process of its own, whose largest resident memory is told: of all pages, and of those that are not a
mapped file's, which the system takes back when it needs them. Counts of both ways are compared.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from foretoken.data.counting import count_phrases
from foretoken.data.text_index import index_text, open_index

WORDS, DOCUMENT_BYTES = 50_000, 2_000_000


def make_text(folder: Path, megabytes: int, seed: int) -> list[str]:
    """Files of words whose frequencies fall as Zipf's law says; a thousand phrases of two words, common and rare."""
    random = np.random.default_rng(seed)
    words = np.array(["".join(map(chr, random.integers(97, 123, random.integers(2, 10)))) for _ in range(WORDS)])
    share = 1 / np.arange(1, WORDS + 1)
    folder.mkdir()
    for number in range(megabytes * 10**6 // DOCUMENT_BYTES):
        text = " ".join(random.choice(words, DOCUMENT_BYTES // 5, p=share / share.sum()))
        (folder / f"{number:05d}.txt").write_text(text[:DOCUMENT_BYTES])
    pairs = random.choice(words, (1000, 2), p=share / share.sum())
    return list(dict.fromkeys(f"{first} {second}" for first, second in pairs))


def memory() -> float:
    """Largest resident memory so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def anonymous() -> float:
    """Resident memory that is no file's, MB, now."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith("RssAnon"))


def part(name: str, home: Path, budget: float) -> None:
    """One measurement, in a process of its own."""
    phrases = (home / "phrases.txt").read_text().split("\n")
    began, before = time.perf_counter(), memory()
    if name == "pass":
        counts = count_phrases(home / "texts", phrases)
        (home / "pass.txt").write_text(repr(counts.phrases))
    elif name == "index":
        index_text(home / "texts", home / "index", memory=budget * 1e6)
    else:
        index = open_index(home / "index")
        found = [index.count(phrase) for phrase in phrases]
        cold = time.perf_counter() - began
        again = time.perf_counter()
        assert found == [index.count(phrase) for phrase in phrases]
        warm = time.perf_counter() - again
        print(f"a count, first {cold / len(phrases) * 1e3:.2f} ms, again {warm / len(phrases) * 1e3:.2f} ms", end="; ")
        assert repr(count_phrases(index, phrases).phrases) == (home / "pass.txt").read_text()
    seconds = time.perf_counter() - began
    told = f"at most {memory():.0f} MB ({before:.0f} before), not a file's {anonymous():.0f} MB"
    print(f"{name}: {seconds:.1f} s ({time.process_time():.1f} s of a core), {told}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--memory", type=float, default=0.0, help="MB that sorting may take")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        part(given.part[0], Path(given.part[1]), given.memory)
        return
    with tempfile.TemporaryDirectory() as home:
        phrases = make_text(Path(home) / "texts", given.megabytes, given.seed)
        (Path(home) / "phrases.txt").write_text("\n".join(phrases))
        print(f"{given.megabytes} MB of text, {len(phrases)} phrases")
        for name in ("pass", "index", "queries"):
            words = [sys.executable, __file__, "--memory", str(given.memory), "--part", name, home]
            subprocess.run(words, check=True)
        size = sum(path.stat().st_size for path in (Path(home) / "index").iterdir())
        print(
            f"the index: {size / 1e6:.0f} MB on disk, {len(open_index(Path(home) / 'index').manifest.suffixes)} shards"
        )


if __name__ == "__main__":
    main()
