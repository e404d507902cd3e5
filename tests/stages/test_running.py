import signal
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("where", "line"), [("before", "interrupted"), ("within", "some: interrupted"), ("after", "interrupted")]
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stage_interrupted_at_any_time_is_one_line(where: str, line: str, number: signal.Signals) -> None:
    steps = [f"from signal import *; signal(SIGINT, default_int_handler); stop = lambda: raise_signal({number:d})"]
    steps += ["from stages.running import end_well, stage; end_well()", "with stage('some', None):", " pass"]
    if where == "within":
        steps[-1] = " stop()"
    else:
        steps.insert(2 if where == "before" else 4, "stop()")
    done = subprocess.run([sys.executable, "-c", "\n".join(steps)], capture_output=True, text=True, check=False)
    assert (done.stderr, done.returncode) == (f"{line}\n", 130)
