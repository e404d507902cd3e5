import re
import sys
from pathlib import Path

import psutil
import pytest

from benchmarks import peak_megabytes


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_the_peak_of_memory_is_that_which_the_system_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found
    megabytes = int(found[1]) / 1024
    assert peak_megabytes() == pytest.approx(megabytes, rel=0.05)
    monkeypatch.setattr(sys, "platform", "darwin")  # which reports bytes
    assert peak_megabytes() == pytest.approx(megabytes / 1024, rel=0.05)


def test_windows_is_asked_in_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    class Memory:
        peak_wset = 3 * 2**20

    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(psutil.Process, "memory_info", lambda _: Memory)
    assert peak_megabytes() == 3
