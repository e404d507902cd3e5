"""The device and the precision of all computing, decided in this one place."""

import ctypes
import os
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

import torch


@dataclass(frozen=True)
class Device:
    """Where tensors live and in which precision layers compute.

    name
        "cuda", "mps" or "cpu", as PyTorch calls it.
    precision
        "bfloat16" or "float32", of the convolutions and matrix products; weights, normalisation and loss stay float32.
    """

    name: str
    precision: Literal["bfloat16", "float32"]

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context in which a network runs in this precision."""
        return torch.autocast(self.name, dtype=torch.bfloat16, enabled=self.precision == "bfloat16")

    @property
    def label(self) -> str:
        """Name of the device for people: that of the GPU, or `cpu`."""
        return torch.cuda.get_device_name() if self.name == "cuda" else self.name

    @property
    def record(self) -> dict[str, str | int]:
        """All that decides how a sum is rounded: device, precision, instruction set of the processor, threads, PyTorch."""
        return {
            "device": self.label,
            "precision": self.precision,
            "processor": torch.backends.cpu.get_cpu_capability(),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        }


def choose_device(precision: Literal["auto", "float32", "bfloat16"]) -> Device:
    """Choose the fastest device there is, and have it compute the same bytes every time.

    With `auto`, layers compute in bfloat16 where the processor or GPU is faster in it, and in float32 elsewhere.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with a fixed workspace
    torch.set_deterministic_debug_mode("error")  # use_deterministic_algorithms without its 2 s of importing the compiler
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # a debugging aid, 6 % of the time
    _keep_freed_memory()
    if torch.cuda.is_available():
        name, faster = "cuda", torch.cuda.is_bf16_supported(including_emulation=False)
    elif torch.backends.mps.is_available():
        name, faster = "mps", False
    else:
        name, faster = "cpu", _processor_is_faster_in_bfloat16()
    if precision == "auto":
        precision = "bfloat16" if faster else "float32"
    return Device(name, precision)


def _processor_is_faster_in_bfloat16() -> bool:
    has = torch.cpu.get_capabilities()
    if has.get("amx_bf16") or has.get("bf16"):
        return True
    # Intel's processors that were made for AMX (which virtual machines often hide) have AVX-512's bfloat16 products beside it,
    # at half the rate of float32's; they are the ones with float16 too.
    made_for_amx = has.get("cpu_name", "").startswith("Intel") and has.get("avx512_fp16")
    return bool(has.get("avx512_bf16")) and not made_for_amx


def _keep_freed_memory() -> None:
    """Have glibc keep what is freed for the next step, where it would give it to the system and fetch it again, zeroed.

    That is a large part of the time of a step. Elsewhere than on Linux with glibc nothing happens. (M_MMAP_THRESHOLD would be
    the usual way, but glibc refuses more than 32 MB of it, silently.)
    """
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "mallopt"):
        trim_threshold, mmap_max = -1, -4  # of malloc.h
        library.mallopt(mmap_max, 0)
        library.mallopt(trim_threshold, 2**31 - 1)
