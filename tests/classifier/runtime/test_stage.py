import signal
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("where", "line"), [("before", "interrupted"), ("within", "some: interrupted"), ("after", "interrupted")]
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stage_interrupted_at_any_time_is_one_line(where: str, line: str, number: signal.Signals) -> None:
    # Neither is ignored at the start, whatever the tests before this one left to what they start.
    steps = ["from signal import *; signal(SIGINT, default_int_handler); signal(SIGTERM, SIG_DFL)"]
    steps += [f"stop = lambda: raise_signal({number:d})"]
    steps += [
        "from classifier.runtime.stage import install_signal_handlers, stage; install_signal_handlers()",
        "with stage('some', None):",
        " pass",
    ]
    if where == "within":
        steps[-1] = " stop()"
    else:
        steps.insert(3 if where == "before" else 5, "stop()")
    done = subprocess.run([sys.executable, "-c", "\n".join(steps)], capture_output=True, text=True, check=False)
    assert (done.stderr, done.returncode) == (f"{line}\n", 130)
