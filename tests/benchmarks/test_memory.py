import os
import sys

import pytest

from benchmarks.memory import anonymous, main

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux tells the anonymous memory of a process")


def test_anonymous_memory_is_what_a_process_allocates() -> None:
    before = anonymous(os.getpid())
    allocated = b"x" * 2**26
    assert anonymous(os.getpid()) - before > len(allocated) // 2


def test_each_process_is_listed_and_the_status_is_that_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([sys.executable, "-c", "import time; time.sleep(1); raise SystemExit(3)"])
    assert ended.value.code == 3
    assert "MiB at most  " in capsys.readouterr().out


def test_the_peaks_are_listed_when_interrupted_too(capsys: pytest.CaptureFixture[str]) -> None:
    interrupting = "import os, signal, time; time.sleep(1); os.kill(os.getppid(), signal.SIGINT)"
    with pytest.raises(KeyboardInterrupt):
        main([sys.executable, "-c", interrupting])
    assert "MiB at most  " in capsys.readouterr().out


def test_without_a_command_it_says_how_it_is_used() -> None:
    with pytest.raises(SystemExit, match="COMMAND"):
        main([])
