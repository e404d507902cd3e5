"""What people run by hand around the pipeline."""

import sys
from typing import Any

from classifier.runtime.streams import prepare_streams


def _explain(kind: type[BaseException], error: BaseException, traceback: Any) -> None:
    """Say in one line that this Python lacks a package."""
    if isinstance(error, ModuleNotFoundError) and (error.name or "tools").partition(".")[0] not in {"classifier", "tools"}:
        print(f"{sys.executable} lacks the package {error.name}: run make setup, then . .venv/bin/activate", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)


prepare_streams()  # here, so that no tool forgets it
sys.excepthook = _explain
