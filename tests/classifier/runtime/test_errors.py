import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from classifier.runtime.errors import InputError, excepthook
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (InputError("params.yaml: wrong"), "engine: params.yaml: wrong"),
        (KeyboardInterrupt(), "engine: interrupted"),
        (PermissionError(13, "Permission denied", "results.md"), "engine: results.md: Permission denied"),
        (OSError(28, "No space left on device"), "engine: No space left on device"),
        (MemoryError(), "engine: out of memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "engine: out of memory"),
        (
            ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn"),
            f"{sys.executable} lacks the package torch.nn: run make setup, then . .venv/bin/activate",
        ),
    ],
)
def test_what_the_user_can_fix_is_one_line_and_its_traceback_is_shown_on_request(
    error: BaseException, line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/benchmarks/engine.py"])
    excepthook(type(error), error, None)
    assert capsys.readouterr().err == f"{line}\n"
    monkeypatch.setenv("CLASSIFIER_TRACEBACK", "1")
    excepthook(type(error), error, None)
    assert capsys.readouterr().err.splitlines() == [f"{_shown(error)}", line]


def test_a_package_that_is_run_has_its_own_name(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/tools/report/__main__.py"])
    excepthook(InputError, InputError("wrong"), None)
    assert capsys.readouterr().err == "report: wrong\n"


def _shown(error: BaseException) -> str:
    name = type(error).__name__
    text = f"{type(error).__module__}.{name}".removeprefix("builtins.")
    return f"{text}: {error}" if str(error) else text


@pytest.mark.parametrize(
    "error",
    [
        ZeroDivisionError("division"),
        OSError("no number"),
        OSError(22, "Invalid argument"),
        FileNotFoundError(2, "No such file", str(ROOT / "benchmarks/gone.json")),
        ModuleNotFoundError("gone", name="classifier.gone"),
    ],
)
def test_a_bug_keeps_its_traceback(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    excepthook(type(error), error, None)
    assert capsys.readouterr().err == f"{_shown(error)}\n"


def test_a_reader_that_has_seen_enough_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    excepthook(BrokenPipeError, BrokenPipeError(32, "Broken pipe"), None)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("shown", ["", "1"])
def test_a_tool_that_fails_is_one_line_and_its_traceback_is_shown_on_request(shown: str) -> None:
    command = [sys.executable, "-m", "tools.summary", "nothing"]
    environment = os.environ | {"CLASSIFIER_TRACEBACK": shown}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    *before, line = done.stderr.splitlines()
    assert done.returncode == 1
    assert line.startswith("summary: nothing/metrics: no such file; ")
    assert before[:1] == (["Traceback (most recent call last):"] if shown else [])


@pytest.mark.parametrize("path", sorted([*ROOT.glob("tools/*.py"), *ROOT.glob("benchmarks/*.py")]), ids=lambda path: path.stem)
def test_no_tool_ends_itself_with_an_error_whose_traceback_could_not_be_shown(path: Path) -> None:
    assert not re.search(r"except \(?(InputError|OSError|KeyError)[^\n]*\n +sys\.exit", path.read_text(encoding="utf-8"))


def test_objects_that_complain_when_python_ends_are_deleted_before() -> None:
    """As the repositories of a library that are held by the frames of an error, or by those of its cause."""
    program = """
import sys
from classifier.runtime.errors import InputError, excepthook

class Repository:
    def __del__(self):
        import wave

def find():
    repository = Repository()
    raise KeyError

def fetch():
    try:
        find()
    except KeyError:
        raise InputError("no such revision") from None

sys.excepthook = excepthook
fetch()
"""
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.stderr.splitlines() == ["-c: no such revision"]
