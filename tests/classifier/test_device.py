import platform
import subprocess
import sys

import pytest

STEPS = """
import resource, torch
from classifier.device import choose_device
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
