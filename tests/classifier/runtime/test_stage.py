import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from classifier.runtime.stage import deferred_signals
from tests.conftest import PATIENCE, ROOT

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
INTERRUPTED = "some: interrupted; python -m stages.some continues\n"
START = """
import os, signal, sys, time
for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
from classifier.runtime import stage as module
from classifier.runtime.errors import InputError
from classifier.runtime.files import atomic_outputs
from classifier.runtime.stage import deferred_signals, stage
from pathlib import Path
"""


def run(body: str, folder: Path = ROOT, flags: tuple[str, ...] = (), name: str = "some", **environment: str) -> tuple[int, str]:
    """Run a stage with this body in another process; return its exit status and what it wrote on standard error."""
    lines = [START, f'with stage("{name}", "What it does."):', *(f"    {line}" for line in body.strip().splitlines())]
    done = subprocess.run(
        [sys.executable, *flags, "-c", "\n".join(lines)],
        cwd=folder,
        env={key: value for key, value in os.environ.items() if not key.startswith("DVC_")}
        | {"PYTHONPATH": str(ROOT)}
        | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("number", SIGNALS)
def test_a_stopped_stage_is_one_line(number: signal.Signals) -> None:
    assert run(f"signal.raise_signal({number:d})") == (128 + number, INTERRUPTED)


@pytest.mark.parametrize(
    ("environment", "command"),
    [
        ({}, "python -m stages.train"),
        ({"DVC_STAGE": "train"}, "dvc repro"),
        ({"DVC_STAGE": "train", "DVC_EXP_NAME": "mine"}, "the same command"),
    ],
)
def test_a_stopped_training_says_whether_its_state_is_saved_and_how_to_continue(
    tmp_path: Path, environment: dict[str, str], command: str
) -> None:
    (tmp_path / "dvc.yaml").touch()
    (tmp_path / "checkpoints").mkdir()
    stop = "\nsignal.raise_signal(signal.SIGTERM)"
    assert run(stop, tmp_path, ("-S",), "train", **environment)[1].startswith(f"train: interrupted; {command} continues\n")
    save = "\nPath('checkpoints/train.pt').touch()"
    status, shown = run(save + stop, tmp_path, ("-S",), "train", **environment)
    assert status == 143
    assert shown.startswith(f"train: interrupted, its state is saved; {command} continues\n")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        ('InputError("params.yaml: wrong")', "some: params.yaml: wrong"),
        ('OSError(28, "No space left on device", "model.pt")', "some: model.pt: No space left on device"),
        ('OSError(28, "No space left on device")', "some: No space left on device"),
        (
            'PermissionError(13, "Permission denied", "data/processed/train.safetensors")',
            "some: data/processed/train.safetensors: Permission denied",
        ),
        ("MemoryError", "some: out of memory"),
        ('RuntimeError("CUDA out of memory. Tried")', "some: out of memory"),
    ],
)
def test_an_error_that_the_user_can_fix_is_one_line(error: str, line: str) -> None:
    assert run(f"raise {error}") == (1, f"{line}\n")
    status, shown = run(f"raise {error}", CLASSIFIER_TRACEBACK="1")
    assert status == 1
    assert shown.startswith("Traceback")
    assert shown.endswith(f"\n{line}\n")


@pytest.mark.parametrize(
    ("statement", "last"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import classifier.missing", "ModuleNotFoundError: No module named 'classifier.missing'"),
        ('raise RuntimeError("shapes differ")', "RuntimeError: shapes differ"),
        ('raise OSError("no number")', "OSError: no number"),
        ("os.close(999)", "OSError: [Errno 9] Bad file descriptor"),
        ("os.kill(2**22 + 1, 0)", "ProcessLookupError: [Errno 3] No such process"),
        (
            "import subprocess; open(subprocess.__file__ + 'x')",
            f"FileNotFoundError: [Errno 2] No such file or directory: '{subprocess.__file__}x'",
        ),
        (
            "with atomic_outputs() as place:\n        place(Path('x.json'))\n        os.kill(2**22 + 1, 0)",
            "ProcessLookupError: [Errno 3] No such process",
        ),
    ],
)
def test_a_bug_keeps_its_traceback(statement: str, last: str) -> None:
    status, shown = run(statement)
    assert status == 1
    assert shown.startswith("Traceback")
    assert shown.endswith(f"\n{last}\n")


def test_a_python_without_the_packages_names_make_setup() -> None:
    status, line = run("import torch", flags=("-S",))
    assert status == 1
    assert line == f"some: {sys.executable} lacks the package torch: run make setup, then . .venv/bin/activate\n"


def test_a_signal_that_an_import_swallows_still_ends_the_stage() -> None:
    swallow = """
module.REPEAT_SECONDS = 0.2
try:
    signal.raise_signal(signal.SIGHUP)
except KeyboardInterrupt:
    pass
"""
    assert run(swallow) == (129, INTERRUPTED)
    assert run(f"{swallow}\nwhile True:\n    time.sleep(0.1)") == (129, INTERRUPTED)
    assert run(f"{swallow}\nraise ImportError('half a module')") == (129, INTERRUPTED)


def test_a_second_signal_does_not_interrupt_the_cleaning_up(tmp_path: Path) -> None:
    body = """
try:
    signal.raise_signal(signal.SIGINT)
finally:
    signal.raise_signal(signal.SIGTERM)
    Path("cleaned up").touch()
"""
    assert run(body, tmp_path) == (130, INTERRUPTED)
    assert (tmp_path / "cleaned up").exists()


def test_a_stage_stopped_when_its_outputs_are_complete_does_not_succeed() -> None:
    # DVC itself ignores Ctrl-C while a stage runs: it would start the next one.
    assert run("pass\nimport atexit; atexit.register(signal.raise_signal, signal.SIGINT)") == (130, "")


def test_signals_wait_for_the_step_under_way(tmp_path: Path) -> None:
    body = """
with deferred_signals() as stop_requested:
    for step in range(10):
        if step == 3:
            signal.raise_signal(signal.SIGTERM)
        if stop_requested():
            Path("saved").write_text(str(step))
            break
"""
    assert run(body, tmp_path) == (143, INTERRUPTED)
    assert (tmp_path / "saved").read_text() == "3"


def test_ignored_signals_stay_ignored() -> None:
    program = "import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\nfrom classifier.runtime.stage import stage\n"
    program += 'with stage("some", None):\n    signal.raise_signal(signal.SIGHUP)'
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0


def test_a_signal_that_was_held_back_while_the_stage_started_again_stops_it() -> None:
    program = f"""{START}
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
os.kill(os.getpid(), signal.SIGTERM)
with stage("some", None):
    time.sleep(60)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (143, INTERRUPTED)


def test_deferred_signals_take_effect_once_at_the_end_of_the_outer_block() -> None:
    caught = []
    signal.signal(signal.SIGTERM, lambda number, _: caught.append(number))
    with deferred_signals() as requested:
        assert not requested()
        with deferred_signals():
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)
        assert requested()
        assert caught == []
    assert caught == [signal.SIGTERM]


@pytest.mark.parametrize("handles_signals", [True, False])
def test_a_stage_ends_with_the_dvc_that_started_it(tmp_path: Path, handles_signals: bool) -> None:
    (tmp_path / "dvc.yaml").touch()
    wait = "pass" if handles_signals else 'while not Path("dvc is gone").exists(): time.sleep(0.01)'
    (tmp_path / "stage.py").write_text(
        f"""{START}
{wait}
with stage("some", None):
    Path("running").touch()
    while True:
        time.sleep(0.1)
"""
    )
    program = f"""
import pathlib, subprocess, sys
subprocess.Popen([sys.executable, "stage.py"], stderr=open("errors", "w"))
while {handles_signals} and not pathlib.Path("running").exists():
    pass
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "DVC_STAGE": "some"}
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, start_new_session=True, check=True)
    (tmp_path / "dvc is gone").touch()
    deadline = time.monotonic() + PATIENCE
    while "some: interrupted" not in (errors := (tmp_path / "errors").read_text()):
        assert time.monotonic() < deadline, errors
        time.sleep(0.1)


def test_a_stage_imports_the_standard_library_alone_before_it_handles_signals() -> None:
    program = "import sys; before = set(sys.modules); import {}; print(*{{m.split('.')[0] for m in set(sys.modules) - before}})"
    for name in ("download", "preprocess", "weights", "train", "evaluate", "plot"):
        command = [sys.executable, "-S", "-c", program.format(f"stages.{name}")]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        assert set(done.stdout.split()) - sys.stdlib_module_names == {"classifier", "stages"}
