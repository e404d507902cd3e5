"""Running a stage from the command line: help, errors in one line, and outputs that outlive a failure."""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from classifier.errors import InputError


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
    try:
        yield
    except InputError as error:
        _fail(f"{name}: {error}")
    except OSError as error:
        where = f"{os.fspath(error.filename)}: " if error.filename else ""
        _fail(f"{name}: {where}{error.strerror or error}")
    except MemoryError:
        _fail(f"{name}: out of memory")
    except KeyboardInterrupt:
        _fail(f"{name}: interrupted", status=128 + signal.SIGINT)


def _fail(line: str, status: int = 1) -> NoReturn:
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
