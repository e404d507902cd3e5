import sys

import pytest

from classifier.runtime.errors import InputError, excepthook


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (InputError("params.yaml: wrong"), "engine: params.yaml: wrong"),
        (KeyboardInterrupt(), "engine: interrupted"),
        (PermissionError(13, "Permission denied", "results.md"), "engine: results.md: Permission denied"),
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


def _shown(error: BaseException) -> str:
    name = type(error).__name__
    text = f"{type(error).__module__}.{name}".removeprefix("builtins.")
    return f"{text}: {error}" if str(error) else text


@pytest.mark.parametrize(
    "error",
    [ZeroDivisionError("division"), OSError(22, "Invalid argument"), ModuleNotFoundError("gone", name="classifier.gone")],
)
def test_a_bug_keeps_its_traceback(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    excepthook(type(error), error, None)
    assert capsys.readouterr().err == f"{_shown(error)}\n"
