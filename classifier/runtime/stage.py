"""Running a stage: help, signals, errors in one line, and outputs that outlive a failure.

Imports the standard library alone, so that a stage handles signals within milliseconds and can name a missing package.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

PARENT_CHECK_SECONDS = 0.2
REPEAT_SECONDS = 5.0  # a stop request that had no effect for so long is repeated


class Stopped(KeyboardInterrupt):
    """Raised in the main thread of a stage by SIGINT, SIGTERM and SIGHUP."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number


@contextmanager
def stage(name: str, description: str | None) -> Iterator[None]:
    """Run the body of a stage; the first statement of its `main()`, around all others and the imports they need.

    `--help` prints `description`. An error that the user can fix (InputError, an OSError, no memory, a missing package) is
    one line on standard error and exit status 1; SIGINT, SIGTERM and SIGHUP end in `NAME: interrupted` and the exit status
    of a shell, 128 plus the number of the signal. Any other exception keeps its traceback. The environment variable
    `CLASSIFIER_TRACEBACK=1` shows the traceback of everything.

    A stage that DVC started also ends when that DVC is gone, since it would write its outputs while the next one runs. Every
    ending but success brings back the outputs that DVC deleted before it started the stage.
    """
    stops: list[tuple[int, float]] = []

    def stop(number: int, _frame: object) -> None:
        # While the first one unwinds the stack, a second one would interrupt the removal of temporary files.
        if not stops or time.monotonic() - stops[-1][1] > REPEAT_SECONDS:
            stops.append((number, time.monotonic()))
            raise Stopped(number)

    for signal_number in _ending_signals():
        signal.signal(signal_number, stop)
    if "DVC_STAGE" in os.environ:
        threading.Thread(target=_watch_parent, args=(os.getppid(),), daemon=True).start()
    _parse_arguments(name, description)
    try:
        yield
        if stops:  # whoever was interrupted swallowed the exception, as some imports of extension modules do
            raise Stopped(stops[0][0])  # noqa: TRY301
    except BaseException as error:
        for signal_number in _ending_signals():
            signal.signal(signal_number, signal.SIG_IGN)  # what follows is short, and half of it is worse than none
        number = stops[0][0] if stops else signal.SIGINT if isinstance(error, KeyboardInterrupt) else 0
        line = f"{name}: interrupted" if number else _explain(name, error)
        if line is None:
            _restore_outputs()
            raise
        if os.environ.get("CLASSIFIER_TRACEBACK", "0") not in {"", "0"}:
            import traceback

            traceback.print_exc()
        with suppress(OSError):  # the terminal may be gone
            print(line, file=sys.stderr, flush=True)
        _restore_outputs()
        sys.exit(128 + number if number else 1)


@contextmanager
def deferred_signals() -> Iterator[Callable[[], bool]]:
    """Postpone SIGINT, SIGTERM and SIGHUP to the end of the block; yield a function that tells whether one has arrived.

    At the end of the block the first of them takes its usual effect: in a stage, it raises `Stopped`. Blocks may be nested.
    Only the main thread handles signals; in another one this does nothing.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = {number: signal.signal(number, lambda number, _: received.append(number)) for number in _ending_signals()}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if received:
            signal.raise_signal(received[0])


def _ending_signals() -> list[signal.Signals]:
    """Return those that exist here and are not ignored, as SIGHUP is under nohup and SIGINT in the background of a shell."""
    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]
    return [number for number in map(signal.Signals.__getitem__, names) if signal.getsignal(number) != signal.SIG_IGN]


def _watch_parent(parent: int) -> None:
    """Send SIGTERM to this process as soon as its parent is gone."""
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_SECONDS)
    while True:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1)


def _parse_arguments(name: str, description: str | None) -> None:
    import argparse

    argparse.ArgumentParser(
        prog=f"python -m stages.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()


def _explain(name: str, error: BaseException) -> str | None:
    """Return the line for an error that the user can fix; None for a bug."""
    from classifier.runtime.errors import InputError

    if isinstance(error, InputError):
        return f"{name}: {error}"
    if isinstance(error, OSError):
        where = f"{os.fspath(error.filename)}: " if error.filename else ""
        return f"{name}: {where}{error.strerror or error}"
    if isinstance(error, ModuleNotFoundError) and (error.name or "classifier").split(".")[0] not in {"classifier", "stages"}:
        return f"{name}: {sys.executable} lacks the package {error.name}: run make setup, then source .venv/bin/activate"
    # PyTorch's words, on the CPU and on a GPU.
    out_of_memory = any(words in str(error) for words in ("allocate memory", "out of memory"))
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and out_of_memory):
        return f"{name}: out of memory"
    return None


def _restore_outputs() -> None:
    """Bring back what DVC deleted before it ran the stage: its outputs as dvc.lock records them, from the cache or from Git."""
    address = os.environ.get("DVC_STAGE")
    if not address:
        return
    import subprocess

    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    with Repo() as repo:
        for output in repo.stage.load_one(name=address).outs:
            if output.exists or not output.hash_info:
                continue
            output.use_cache = True  # those that live in Git too: DVC keeps a copy of them for its run-cache
            try:
                output.checkout(force=True)
            except (DvcException, OSError):  # a fresh clone has no cache
                subprocess.run(["git", "checkout", "--quiet", "--", output.fs_path], capture_output=True, check=False)
