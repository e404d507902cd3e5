import platform
import subprocess
import sys

import pytest
import torch

from classifier.networks.device import choose_device

STEPS = """
import resource, torch
from classifier.networks.device import choose_device
choose_device("float32")
torch.set_num_threads(1)
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(16_000_000)  # 64 MB, more than glibc's largest M_MMAP_THRESHOLD
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
first = faults()
print(first, [faults() for _ in range(50)][-1])  # by then the holes that small blocks leave are found again
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_memory_that_a_step_frees_is_there_for_the_next_without_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", STEPS], capture_output=True, text=True, check=True)
    first, last = (int(count) for count in done.stdout.split())
    assert first > 100, "the first step must have fetched pages"
    assert last < first / 10, "later steps fetch pages anew"


@pytest.mark.parametrize(
    ("capabilities", "precision"),
    [
        ({"cpu_name": "AMD Milan", "avx2": True}, "float32"),
        ({"cpu_name": "AMD Genoa", "avx512_bf16": True, "avx512_fp16": False}, "bfloat16"),
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "avx512_fp16": True, "amx_bf16": True}, "bfloat16"),
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "avx512_fp16": True, "amx_bf16": False}, "float32"),
        ({"cpu_name": "Intel Cooper Lake", "avx512_bf16": True, "avx512_fp16": False}, "bfloat16"),
        ({"cpu_name": "Neoverse V2", "bf16": True}, "bfloat16"),
        ({}, "float32"),
    ],
)
def test_auto_is_the_precision_in_which_the_processor_is_faster(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, object], precision: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert choose_device("auto").precision == precision
    assert choose_device("float32").precision == "float32"
