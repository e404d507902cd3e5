"""How a stage runs: help, signals, errors in one line, and outputs that are restored after a failure.

Imports the standard library alone, so that a stage handles signals from its first milliseconds on, and so that a Python
without the packages of requirements.lock can say so.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from types import TracebackType

from classifier.runtime.streams import discard_unwritable_output, prepare_streams

CHECK_SECONDS = 0.2  # between looks at whether the parent process is still there
REPEAT_SECONDS = 5.0  # after which a second signal counts


class Stopped(KeyboardInterrupt):
    """Raised in a stage by SIGINT, SIGTERM and SIGHUP."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number


@contextmanager
def stage(name: str, description: str | None) -> Iterator[None]:
    """Run the block as the stage `name`; the imports that the stage needs belong into the block.

    `--help` prints `description`. An error that the user can fix (InputError, an OSError about a file or the system, no memory,
    a missing package) is one line on standard error, with exit status 1. SIGINT, SIGTERM and SIGHUP end in a line that says how
    to continue, with 128 plus the number of the signal. Other exceptions keep their traceback; `CLASSIFIER_TRACEBACK=1` in the
    environment shows that of every exception.

    A stage that DVC started also stops when that DVC is gone, because it would write its outputs while the next DVC runs.
    Since DVC deletes the outputs of a stage before it starts it, each of these endings restores them.
    """
    stops: list[tuple[int, float]] = []

    def stop(number: int, _frame: object) -> None:
        # A second signal must not interrupt what the first one set off: the removal of temporary files.
        if not stops or time.monotonic() - stops[-1][1] > REPEAT_SECONDS:
            stops.append((number, time.monotonic()))
            raise Stopped(number)

    def watch() -> None:
        """Stop the stage when its DVC is gone, and again when that had no effect: imports may swallow an exception."""
        while True:
            time.sleep(CHECK_SECONDS)
            if ended:
                return
            if stops or ("DVC_STAGE" in os.environ and _is_orphan(parent)):
                os.kill(os.getpid(), signal.SIGTERM)

    parent, started, ended = os.getppid(), time.time(), False
    try:
        for each in ending_signals():
            signal.signal(each, stop)
        prepare_streams()

        import threading  # after the handlers: every millisecond without them counts

        if os.name == "posix":
            threading.Thread(target=watch, daemon=True).start()
        _parse_arguments(name, description)
        if os.name == "posix":
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ending_signals())  # held back while a training starts again
        if "DVC_STAGE" in os.environ:
            from classifier.runtime.paths import check_output_folders

            check_output_folders()
        yield
        if stops:
            raise Stopped(stops[0][0])  # noqa: TRY301
        ended = True
        for each in ending_signals():
            signal.signal(each, lambda number, _: os._exit(128 + number))  # the outputs are complete; Python still cleans up
    except BaseException as error:
        ended = True
        for each in ending_signals():
            signal.signal(each, signal.SIG_IGN)
        number = stops[0][0] if stops else signal.SIGINT if isinstance(error, KeyboardInterrupt) else 0
        line = _how_to_continue(name, started) if number else _explain(name, error)
        if line and os.environ.get("CLASSIFIER_TRACEBACK", "0") not in {"", "0"}:
            sys.excepthook(type(error), error, error.__traceback__)
        if line:
            with suppress(OSError):  # as when the terminal is gone
                print(line, file=sys.stderr, flush=True)
        discard_unwritable_output()
        if "DVC_STAGE" in os.environ:
            _restore_outputs(name, orphaned=_is_orphan(parent), since=started if _is_full_disk(error) else None)
        if not line:
            sys.excepthook = sys.__excepthook__  # the outputs are restored
            raise
        sys.exit(128 + number if number else 1)


@contextmanager
def deferred_signals() -> Iterator[Callable[[], bool]]:
    """Postpone SIGINT, SIGTERM and SIGHUP to the end of the block; yield a function that tells whether one has arrived.

    At the end of the block the first one takes effect: in a stage, it raises `Stopped`. Blocks may be nested. Only the main
    thread receives signals; in another one this does nothing.
    """
    import threading

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    received: list[int] = []
    before = {number: signal.signal(number, lambda number, _: received.append(number)) for number in ending_signals()}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if received:
            signal.raise_signal(received[0])


def restoring_excepthook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Print a traceback as Python does, and restore the outputs that DVC deleted before it started the script."""
    sys.__excepthook__(kind, error, traceback)
    parent = os.getppid()
    _restore_outputs(os.environ["DVC_STAGE"].rpartition(":")[2], orphaned=_is_orphan(parent), since=None)


def restore_from_cache(address: str, *, orphaned: bool) -> bool:
    """Check out the missing outputs of a stage from DVC's cache; return whether that worked for all that the cache has.

    `dvc checkout` leaves out those with `cache: false`, of which the cache has a copy for the run-cache. This is the only
    use of DVC's private API. When the stage is orphaned, that is when the DVC that started it is gone, and another DVC runs
    it already, nothing is done.
    """
    from dvc.exceptions import CheckoutError
    from dvc.lock import LockError
    from dvc.repo import Repo

    complete = True
    with suppress(LockError), Repo() as repo, repo.lock if orphaned else nullcontext():
        outputs = repo.stage.load_one(name=address).outs
        if orphaned and _in_use(Path(repo.tmp_dir) / "rwlock", {output.fs_path for output in outputs}):
            return True
        for output in outputs:
            if output.exists or not output.hash_info:
                continue
            output.use_cache = True
            folder = Path(output.fs_path).parent
            temporary = {*folder.glob(".*.tmp")}
            try:
                output.checkout(force=True)
            except (CheckoutError, FileNotFoundError):  # not in the cache
                pass
            except Exception:  # on a full disk: an error of DVC, or of its database; half a copy stays behind
                complete = False
                output.remove()
                for path in {*folder.glob(".*.tmp")} - temporary:
                    path.unlink()
    return complete


def restore_from_git(stage_name: str) -> None:
    """Check out the missing outputs of a stage that Git tracks: a fresh clone has no cache, but metrics and pictures."""
    import re
    import subprocess

    stages = Path("dvc.yaml").read_text(encoding="utf-8")
    lines = re.search(rf"^  {re.escape(stage_name)}:\n((?:    .*\n|\n)+)", stages, re.MULTILINE)
    listing = subprocess.run(["git", "ls-files", "--deleted", "-z"], capture_output=True, text=True, check=False).stdout
    deleted = [path for path in listing.split("\0") if lines and re.search(rf"- {re.escape(path)}:?\n", lines[1])]
    if deleted:
        subprocess.run(["git", "checkout", "--quiet", "--", *deleted], capture_output=True, check=False)


def ending_signals() -> list[signal.Signals]:
    """Return those that exist here and are not ignored, as SIGHUP is under nohup and SIGINT in the background of a shell."""
    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]
    return [number for number in map(signal.Signals.__getitem__, names) if signal.getsignal(number) != signal.SIG_IGN]


def _is_orphan(parent: int) -> bool:
    """Return whether the process that started this one is gone: since `parent` was read, or before.

    DVC starts a stage in its own process group, to which the process that adopts an orphan does not belong.
    """
    if os.name != "posix" or os.getppid() == 0:  # 0: the parent is outside the container
        return False
    return os.getppid() != parent or os.getpgid(parent) != os.getpgid(0)


def _parse_arguments(name: str, description: str | None) -> None:
    import argparse

    argparse.ArgumentParser(
        prog=f"python -m stages.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()


def _is_full_disk(error: BaseException) -> bool:
    import errno

    return isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}


def _how_to_continue(name: str, started: float) -> str:
    """Return the line for a stage that was interrupted."""
    saved = ""
    with suppress(OSError):
        from classifier.runtime.paths import checkpoint_file

        if name == "train" and checkpoint_file().stat().st_mtime > started - 1:  # file systems count coarsely
            saved = ", its state is saved"
    by_hand = "DVC_STAGE" not in os.environ
    command = f"python -m stages.{name}" if by_hand else "the same command" if "DVC_EXP_NAME" in os.environ else "dvc repro"
    return f"{name}: interrupted{saved}; {command} continues"


def _explain(name: str, error: BaseException) -> str | None:
    """Return the line for an error that the user can fix, and None for a bug."""
    from classifier.runtime.errors import explain, lacking_package

    if line := lacking_package(error):
        restore = "; then dvc checkout restores the outputs" if "DVC_STAGE" in os.environ else ""
        return f"{name}: {line}{restore}"
    reason = explain(error)
    return f"{name}: {reason}" if reason else None


def _restore_outputs(name: str, *, orphaned: bool, since: float | None) -> None:
    """Restore the outputs that DVC deleted before it started this stage, as dvc.lock records them, from the cache or Git.

    The cache is read in another process, because this one may have been stopped in the middle of an import. A checkpoint
    written since the time `since` is removed when there is no room otherwise.
    """
    import subprocess
    from importlib.util import find_spec

    from classifier.runtime.paths import checkpoint_file

    address = os.environ["DVC_STAGE"]
    if find_spec("dvc"):
        command = [sys.executable, "-m", "classifier.runtime.stage", address, *(["--orphaned"] if orphaned else [])]
        complete = subprocess.run(command, check=False).returncode == 0
        checkpoint = checkpoint_file()
        if not complete and since and name == "train" and checkpoint.exists():
            if checkpoint.stat().st_mtime >= since:
                checkpoint.unlink()
            complete = subprocess.run(command, check=False).returncode == 0
        with suppress(OSError):
            if not complete:
                print(
                    f"{name}: could not restore all outputs of the last run; dvc repro makes them again",
                    file=sys.stderr,
                )
    with suppress(OSError):  # no Git here
        restore_from_git(address.rpartition(":")[2])


def _in_use(locks: Path, paths: set[str]) -> bool:
    """Return whether a running process, and not a zombie, holds DVC's lock for writing one of these outputs."""
    import json

    import psutil

    with suppress(FileNotFoundError, ValueError):  # a DVC that was killed may leave an empty file
        writers = json.loads(locks.read_text(encoding="utf-8")).get("write", {})
        for path in paths & writers.keys():
            with suppress(psutil.NoSuchProcess):
                if psutil.Process(int(writers[path]["pid"])).status() != psutil.STATUS_ZOMBIE:
                    return True
    return False


if __name__ == "__main__":
    with suppress(Exception):  # which would hide the error of the stage; as when the disk is full
        sys.exit(not restore_from_cache(sys.argv[1], orphaned="--orphaned" in sys.argv))
    sys.exit(1)
