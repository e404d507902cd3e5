import signal
import subprocess
import sys

import pytest


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stage_interrupted_is_one_line(number: signal.Signals) -> None:
    # None is ignored at the start, whatever the tests before this one left to what they start.
    program = f"""
from signal import SIG_DFL, SIGHUP, SIGINT, SIGTERM, default_int_handler, raise_signal, signal
from classifier.runtime.stage import stage
signal(SIGINT, default_int_handler); signal(SIGTERM, SIG_DFL); signal(SIGHUP, SIG_DFL)
with stage("some", None):
    raise_signal({number:d})
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stderr, done.returncode) == ("some: interrupted\n", 128 + number)
