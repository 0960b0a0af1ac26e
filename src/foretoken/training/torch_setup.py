"""What a process that trains sets for itself: threads, memory, kernels of matrix products; and how fast those are."""

from __future__ import annotations

import contextlib
import ctypes
import time
from collections.abc import Iterator
from functools import cache

import torch

from foretoken.runs.spec import Precision

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Options of glibc's mallopt(3)."""
DTYPES: dict[Precision, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}
PEAK_SIZE = 1024
"""Side of the square matrices that the peak is measured with."""


def set_up(threads: int) -> None:
    """Use so many threads, and keep freed memory for the next step. Changes no result but through the threads."""
    torch.set_num_threads(threads)
    keep_memory()


def keep_memory() -> None:
    """Ask the C library not to give freed memory back to the system; without glibc, do nothing.

    A step frees all it took. By default most of it goes back, and the next step pays for every page again.
    """
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(M_MMAP_MAX, 0)
        library.mallopt(M_TRIM_THRESHOLD, -1)


@contextlib.contextmanager
def float32_products() -> Iterator[None]:
    """Multiply float32 matrices with oneDNN where its products are as exact as the default library's.

    On processors that are not Intel's, the default (MKL) leaves AVX-512 unused; oneDNN does not. torch offers oneDNN
    for float32 only by the setting that also allows bfloat16 inside; a processor without such units for float32
    operands multiplies in full float32 all the same, which a product tells.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium" if medium_is_exact() else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@cache
def medium_is_exact() -> bool:
    """Whether the setting `medium` keeps the last bits of float32 operands, which bfloat16 would cut off."""
    before = torch.get_float32_matmul_precision()
    operand = torch.full((64, 64), 1.0 + 2.0**-20)
    torch.set_float32_matmul_precision("medium")
    try:
        return torch.equal(operand @ torch.eye(64), operand) and torch.equal(torch.eye(64) @ operand, operand)
    finally:
        torch.set_float32_matmul_precision(before)


@float32_products()
def matmul_peak(precision: Precision) -> float:
    """Best rate of a square matrix product in this process, by the kernels that training uses, FLOP/s."""
    dtype = DTYPES[precision]
    left, right = torch.ones(PEAK_SIZE, PEAK_SIZE, dtype=dtype), torch.ones(PEAK_SIZE, PEAK_SIZE, dtype=dtype)
    best = float("inf")
    for _ in range(8):
        began = time.perf_counter()
        torch.mm(left, right)
        best = min(best, time.perf_counter() - began)
    # A product of two n x n matrices is n^2 sums of n products: n multiplications and n additions each.
    return 2.0 * PEAK_SIZE**3 / best
