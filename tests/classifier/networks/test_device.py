import os
import platform
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

from classifier.networks import device as module
from classifier.networks.device import Device, choose_device, processor_model
from classifier.params import DeviceName
from classifier.runtime.errors import InputError

STEPS = """
import resource, torch
from classifier.networks.device import choose_device
choose_device("cpu", "float32")
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
    assert last < first / 10, "later steps must not fetch pages again"


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
    assert choose_device("auto", "auto").precision == precision
    assert choose_device("auto", "float32").precision == "float32"


def test_a_chosen_device_is_deterministic_and_computes_float32_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    torch.set_deterministic_debug_mode("default")
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    assert choose_device("cpu", "float32") == Device("cpu", "float32")
    assert torch.are_deterministic_algorithms_enabled()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32


def test_the_trial_computation_passes_where_everything_works() -> None:
    assert module._trial_failure("cpu") == ""


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine on which CUDA fails")
def test_auto_names_a_device_that_fails_its_trial_and_takes_the_next(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device("auto", "float32") == Device("cpu", "float32")
    line = capsys.readouterr().out
    assert line.startswith("cuda fails a trial computation (")
    assert line.endswith(") and is not used\n")
    assert line.count("\n") == 1


def test_a_driver_too_old_for_this_pytorch_is_one_line_that_names_another_build(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def is_available() -> bool:
        warnings.warn(
            "CUDA initialization: The NVIDIA driver on your system is too old (found version 11040). Please update your GPU "
            "driver by downloading and installing a new version from the URL: http://www.nvidia.com/Download/index.aspx "
            "Alternatively, go to: https://pytorch.org to install a PyTorch version that has been compiled with your version "
            "of the CUDA driver. (Triggered internally at /pytorch/c10/cuda/CUDAFunctions.cpp:119.)",
            stacklevel=1,
        )
        return False

    monkeypatch.setattr(torch.cuda, "is_available", is_available)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device("auto", "float32") == Device("cpu", "float32")
    output, errors = capfd.readouterr()
    assert (output.count("\n"), errors) == (1, "")
    assert "driver on your system is too old (found version 11040)" in output
    assert "make setup TORCH=cu126" in output
    with pytest.raises(InputError):
        choose_device("cuda", "float32")
    assert capfd.readouterr().out == output
    choose_device("cpu", "float32")
    assert capfd.readouterr().out == ""


def test_a_wrong_result_fails_the_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = torch.conv2d
    monkeypatch.setattr(torch, "conv2d", lambda *arguments: whole(*arguments) * 1.01)
    assert module._trial_failure("cpu") == "wrong result"


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch, name: DeviceName) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InputError, match=rf"^params\.yaml: train\.device: {name} is not available .* finds cpu; [^\n]*$"):
        choose_device(name, "auto")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine on which CUDA fails")
def test_a_device_asked_for_by_name_that_fails_its_trial_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(InputError, match=r"^params\.yaml: train\.device: cuda fails a trial computation \([^\n]+$"):
        choose_device("cuda", "auto")


def test_the_record_names_the_model_of_the_processor_and_its_instruction_set() -> None:
    record = Device("cpu", "float32").record
    assert record["processor"] == processor_model()
    assert record["instruction_set"] == torch.backends.cpu.get_cpu_capability()
    assert record["processor"] != record["instruction_set"]


@pytest.mark.parametrize(
    ("cpuinfo", "model"),
    [
        ("processor\t: 0\nmodel\t\t: 17\nmodel name\t: AMD EPYC 9V74\nmodel name\t: AMD EPYC 9V74\n", "AMD EPYC 9V74"),
        ("processor\t: 0\nCPU part\t: 0xd4f\n", "Neoverse V2"),  # Linux on ARM names no model
    ],
)
def test_the_processor_is_named_from_what_linux_tells_or_else_as_pytorch_does(
    monkeypatch: pytest.MonkeyPatch, cpuinfo: str, model: str
) -> None:
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: cpuinfo)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"cpu_name": "Neoverse V2"})
    assert processor_model() == model
