"""The device and the precision of all computing, decided in this one place."""

import ctypes
import dataclasses
import os
import platform
import re
import subprocess
import sys
import warnings
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from numpy.typing import NDArray
from torch import Tensor

from classifier.params import DeviceName, Precision
from classifier.runtime.console import log
from classifier.runtime.errors import InputError


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

    def in_float32(self) -> "Device":
        """Return the same device in float32, the precision of all scores in metrics files."""
        return dataclasses.replace(self, precision="float32")

    @property
    def label(self) -> str:
        """Name of the device for people: the model of the GPU, or `mps` or `cpu`."""
        return torch.cuda.get_device_name() if self.name == "cuda" else self.name

    @property
    def threads(self) -> int:
        """Number of threads of this process that compute."""
        return torch.get_num_threads() if self.name == "cpu" else 1

    @property
    def record(self) -> dict[str, str | int]:
        """All that decides how a sum is rounded: device, precision, processor, threads and PyTorch."""
        return {
            "device": self.label,
            "precision": self.precision,
            "processor": processor_model(),
            "instruction_set": torch.backends.cpu.get_cpu_capability(),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        }


def choose_device(name: DeviceName, precision: Precision) -> Device:
    """Choose a device and a precision, and make PyTorch compute the same bytes every time.

    Parameters
    ----------
    name
        A device, or `auto` for the fastest that is available and passes a trial computation; one that fails it is named in a
        line and the next is tried.
    precision
        `auto` is bfloat16 where the processor or GPU is faster in it, and float32 elsewhere. float32 is computed in full,
        never in TensorFloat-32.

    Raises
    ------
    InputError
        When the named device is not available or fails the trial computation.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with a fixed workspace
    torch.set_deterministic_debug_mode("error")  # use_deterministic_algorithms without its 2 s of importing the compiler
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # a debugging aid, 6 % of the time
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    _keep_freed_memory()
    available = _available() if name != "cpu" else ["cpu"]
    if name == "auto":
        chosen = next(device for device in available if device == "cpu" or _passes_trial(device))
    elif name not in available:
        raise InputError(
            f"params.yaml: train.device: {name} is not available on this machine, where PyTorch finds "
            f"{' and '.join(available)}; set it to one of these or to auto"
        )
    elif name != "cpu" and (reason := _trial_failure(name)):
        raise InputError(f"params.yaml: train.device: {name} fails a trial computation ({reason}); set it to auto")
    else:
        chosen = name
    if precision == "auto":
        precision = "bfloat16" if _is_faster_in_bfloat16(chosen) else "float32"
    return Device(chosen, precision)


def as_tensor(array: NDArray[Any]) -> Tensor:
    """Return a tensor in main memory that shares the memory of an array, which may be read-only: it is not written to."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(array)


def processor_model() -> str:
    """Return the model of the processor, as its maker calls it where the system tells."""
    with suppress(OSError):
        if model := re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE):
            return model[1].strip()
    if sys.platform == "darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        with suppress(OSError, subprocess.CalledProcessError):
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return torch.cpu.get_capabilities().get("cpu_name") or platform.processor() or platform.machine()


def _available() -> list[str]:
    """Return the devices that PyTorch finds, the fastest first; what keeps it from using a GPU is logged in a line."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    for warning in caught:  # as of a driver that is too old
        reason = " ".join(str(warning.message).split()).partition(". ")[0][:200]
        log(
            f"cuda is not used ({reason}); for a driver or GPU too old for this PyTorch: make setup TORCH=cu126 (docs/setup.md)"
        )
    return [name for name, available in found.items() if available]


def _passes_trial(name: str) -> bool:
    reason = _trial_failure(name)
    if reason:
        log(f"{name} fails a trial computation ({reason}) and is not used")
    return not reason


def _trial_failure(name: str) -> str:
    """Run a small convolution forward and backward; return what is wrong, in one line, or an empty text.

    A GPU may be found and still not work: its driver is too old, or this PyTorch has no code for its model.
    """
    try:
        images = torch.ones(2, 4, 8, 8, device=name).to(memory_format=torch.channels_last)
        weights = torch.ones(4, 4, 3, 3, device=name, requires_grad=True)
        result = torch.conv2d(images, weights).sum()
        result.backward()  # type: ignore[no-untyped-call]
        wrong = result.item() != 10368 or weights.grad is None or weights.grad.sum().item() != 10368
    except Exception as error:  # whatever a driver raises
        return " ".join((str(error) or type(error).__name__).split())[:200]
    return "wrong result" if wrong else ""


def _is_faster_in_bfloat16(name: str) -> bool:
    if name == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return name == "cpu" and _processor_is_faster_in_bfloat16()


def _processor_is_faster_in_bfloat16() -> bool:
    has = torch.cpu.get_capabilities()
    if has.get("amx_bf16") or has.get("bf16"):
        return True
    # Intel processors with AMX (which virtual machines often hide) also have AVX-512's bfloat16 products, but at half the rate
    # of float32's. They can be recognised by AVX-512's float16.
    made_for_amx = has.get("cpu_name", "").startswith("Intel") and has.get("avx512_fp16")
    return bool(has.get("avx512_bf16")) and not made_for_amx


def _keep_freed_memory() -> None:
    """Make glibc keep freed memory for the next step instead of returning it to the system and fetching it again, zeroed.

    That would take a large part of the time of a step. Without glibc, nothing happens. (M_MMAP_THRESHOLD would be the usual
    way, but glibc silently refuses more than 32 MB.)
    """
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "mallopt"):
        trim_threshold, mmap_max = -1, -4  # of malloc.h
        library.mallopt(mmap_max, 0)
        library.mallopt(trim_threshold, 2**31 - 1)
