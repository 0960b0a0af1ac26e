"""What a process that trains sets for itself: threads, memory, and which kernels multiply float32 matrices."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator
from functools import cache

import torch

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Options of glibc's mallopt(3)."""


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
