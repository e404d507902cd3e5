"""Running a stage from the command line: help, errors in one line, and outputs that outlive a failure."""

import argparse
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from classifier.runtime.errors import InputError

PARENT_CHECKED_EVERY = 0.2  # seconds


@contextmanager
def stage(name: str, description: str | None) -> Iterator[None]:
    """Run a stage: `--help` prints its description, and a fault that a user can mend is one line.

    Bad input, a full disk or a missing file ends in `NAME: what is wrong` on standard error and exit status 1, Ctrl-C in
    130, neither with a traceback. What the stage wrote the last time is still there then.
    """
    argparse.ArgumentParser(
        prog=f"python -m stages.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()
    before = {number: signal.signal(number, signal.default_int_handler) for number in _ending_signals()}
    try:
        yield
    except InputError as error:
        _fail(f"{name}: {error}")
    except OSError as error:
        where = f"{os.fspath(error.filename)}: " if error.filename else ""
        _fail(f"{name}: {where}{error.strerror or error}")
    except MemoryError:
        _fail(f"{name}: out of memory")
    except RuntimeError as error:
        if not re.search("allocate memory|out of memory", str(error)):  # PyTorch's words, on the CPU and on a GPU
            raise
        _fail(f"{name}: out of memory")
    except KeyboardInterrupt:
        _fail(f"{name}: interrupted", status=128 + signal.SIGINT)
    for number, handler in before.items():
        signal.signal(number, handler)


def install_signal_handlers() -> None:
    """Have this process, from now on, end as it should when it is interrupted or terminated, or when DVC is killed.

    SIGTERM is like Ctrl-C. A stage whose DVC is gone ends itself: it would write its outputs behind the back of the next one.
    """
    for number in _ending_signals():
        signal.signal(number, _end_early)
    if "DVC_STAGE" in os.environ:
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _ending_signals() -> list[signal.Signals]:
    """Return those that are not ignored, as Ctrl-C is in what a shell runs in the background."""
    return [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) != signal.SIG_IGN]


def _end_early(*_: object) -> None:
    with suppress(SystemExit):
        _fail("interrupted")
    os._exit(128 + signal.SIGINT)  # and no exception, which an import that is under way may swallow


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_CHECKED_EVERY)
    os._exit(128 + signal.SIGTERM)


def _fail(line: str, status: int = 1) -> NoReturn:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # what follows is short, and half of it is worse than none
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print(line, file=sys.stderr)
    if "DVC_STAGE" in os.environ:
        _restore_outputs(os.environ["DVC_STAGE"])
    sys.exit(status)


def _restore_outputs(address: str) -> None:
    """Bring back what DVC deleted before it ran the stage: its outputs as dvc.lock records them, from the cache or from Git."""
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
