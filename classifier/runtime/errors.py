"""Errors that the user can fix, told from bugs."""

import errno
import os
import re
import sys
from pathlib import Path

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
    libraries = [Path(sys.prefix, "lib"), Path(sys.base_prefix, "lib"), *(CODE / name for name in ("classifier", "stages"))]
    return not any(path.is_relative_to(folder) for folder in libraries)
