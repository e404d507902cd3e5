"""Files: written whole or not at all, and read with an error that says what to do."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

from classifier.runtime.errors import InputError

PARTIAL = "-partial"  # in the names of temporary files


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to, and move it to `path` in one step when the block succeeds.

    When the block fails, what stood at `path` before still stands there. Missing folders are made. What a process that was
    killed left of its temporary file is removed.

    Raises
    ------
    OSError
        Naming `path`, when it cannot be written or the disk is full.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for leftover in path.parent.glob(f".{path.stem}-*{PARTIAL}{path.suffix}"):
            if not psutil.pid_exists(int(leftover.name.removeprefix(f".{path.stem}-").partition("-")[0])):
                leftover.unlink(missing_ok=True)
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.stem}-{os.getpid()}-", suffix=f"{PARTIAL}{path.suffix}"
        )
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        error.filename = str(path)
        raise
    finally:
        if temporary:
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_outputs() -> Iterator[Callable[[Path], Path]]:
    """Give a function that returns a temporary path for an output; at the end of the block all of them move into place.

    When the block fails, none does, and all that stood there before still stands there. A temporary path lies beside its
    output and has the same suffix; it may become a file or a folder.

    Raises
    ------
    OSError
        Naming the output, when it cannot be written or the disk is full.
    """
    with ExitStack() as stack:
        yield lambda path: stack.enter_context(atomic_write(path))


@contextmanager
def read_output(path: Path, writer: str) -> Iterator[None]:
    """Turn a failure to read what the stage `writer` wrote into an InputError that says what to run."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; run the {writer} stage first: dvc repro {writer}") from None
    except Exception as error:  # damaged bytes raise a dozen kinds in zipfile, NumPy and PyTorch
        if isinstance(error, OSError) and error.strerror:
            raise
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"{path}: damaged ({reason}); run the {writer} stage again: dvc repro --force {writer}") from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
