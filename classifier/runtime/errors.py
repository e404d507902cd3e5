"""Errors that the user can fix, distinguished from bugs. Imports the standard library alone."""

from __future__ import annotations  # an old Python must get as far as the line of tools.setup that names its version

import errno
import os
import re
import sys
from pathlib import Path
from traceback import clear_frames
from types import TracebackType

from classifier.runtime.streams import discard_unwritable_output

CODE = Path(__file__).parents[2]
# What may fail without the name of a file, and is no bug: the disk, memory, the number of open files, a reader that is gone.
OF_THE_SYSTEM = {
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EROFS", "EFBIG", "EIO", "ENOMEM", "EMFILE", "ENFILE", "EPIPE", "ESTALE", "ENOLCK")
    if hasattr(errno, name)
}


class InputError(ValueError):
    """Something that the user provided is wrong; the message says in one line what, where, and what it should be."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory was lacking; PyTorch says so in words, on a CPU and on a GPU."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and bool(re.search("allocate memory|out of memory", str(error)))
    )


def is_of_the_system(error: BaseException) -> bool:
    """Return whether an OSError is about a file of the user, or something that the system lacks; other ones are bugs."""
    if not isinstance(error, OSError) or error.errno is None:
        return False
    if not isinstance(error.filename, str | bytes | os.PathLike):
        return error.errno in OF_THE_SYSTEM
    path = Path(os.fsdecode(error.filename)).absolute()
    libraries = [
        Path(sys.prefix, "lib"),
        Path(sys.base_prefix, "lib"),
        *(CODE / name for name in ("benchmarks", "classifier", "stages", "tools")),
    ]
    return not any(path.is_relative_to(folder) for folder in libraries)


def explain(error: BaseException) -> str:
    """Return what one line says about an error that the user can fix, and an empty string for a bug."""
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, OSError) and is_of_the_system(error):
        where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        return f"{where}{error.strerror or error}"
    return "out of memory" if is_out_of_memory(error) else ""


def lacking_package(error: BaseException) -> str:
    """Return the line for a Python without a package of requirements.lock, and an empty string for another error."""
    own = {"benchmarks", "classifier", "stages", "tools"}
    if not isinstance(error, ModuleNotFoundError) or not error.name or error.name.partition(".")[0] in own:
        return ""
    return f"{sys.executable} lacks the package {error.name}: run make setup, then . .venv/bin/activate"


def excepthook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Print an error that the user can fix in one line, and other ones with their traceback, in place of sys.excepthook.

    `CLASSIFIER_TRACEBACK=1` in the environment shows the traceback of each. Nothing is printed where the reader of the output,
    such as `head`, is gone.
    """
    discard_unwritable_output()
    if isinstance(error, BrokenPipeError):
        return
    program = Path(sys.argv[0])
    name = program.parent.name if program.stem == "__main__" else program.stem  # of a package that is run
    line = lacking_package(error)
    if reason := explain(error):
        line = f"{name}: {reason}"
    if isinstance(error, KeyboardInterrupt):
        line = f"{name}: interrupted"
    if not line or os.environ.get("CLASSIFIER_TRACEBACK", "0") not in {"", "0"}:
        sys.__excepthook__(kind, error, traceback)
    if line:
        print(line, file=sys.stderr)
    chain: BaseException | None = error
    while chain:  # objects in these frames, such as Git repositories, would complain when they are deleted with Python itself
        clear_frames(chain.__traceback__)
        chain = chain.__context__
