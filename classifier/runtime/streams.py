"""Standard streams that can be written to in every environment. Imports the standard library alone."""

import atexit
import errno
import os
import sys
from contextlib import suppress
from pathlib import Path


def prepare_streams() -> None:
    """Make printing safe: stages, tools and benchmarks call this before anything else.

    A character that the encoding of a stream lacks, as `±` in ASCII, is written as `?`. Streams that are closed, as under
    some daemons and after `>&-`, lead to nowhere; without that, a file that is opened later would take the number of the
    closed stream, and receive what other programs and libraries print there. So do those that can only be read: a DVC whose
    streams are closed passes such on. What standard output cannot take at the end, as on a full disk, is an error in one line,
    with status 1; without a line where its reader is gone.
    """
    atexit.unregister(_flush_output)
    atexit.register(_flush_output)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = getattr(sys, name)
        read_only = number and stream is getattr(sys, f"__{name}__") and not _is_writable(number)
        if stream is None or read_only:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if stream is not None:
                os.dup2(nowhere, number)
            elif nowhere == number:  # unless something else was opened meanwhile
                os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(nowhere, "w" if number else "r", encoding="utf-8"))
        elif number and hasattr(stream, "reconfigure"):  # not in a notebook
            stream.reconfigure(errors="replace")


def _is_writable(number: int) -> bool:
    try:
        os.write(number, b"")
    except OSError as error:
        return error.errno != errno.EBADF
    return True


def discard_unwritable_output() -> None:
    """Drop what standard output cannot take, after an error that was reported: Python would report it again at its end."""
    try:
        _flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _flush_output() -> None:
    """Flush standard output; when that fails, print one line in place of Python's, and exit with status 1."""
    try:
        _flush()
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            with suppress(OSError):
                print(f"{Path(sys.argv[0]).stem}: standard output: {error.strerror}", file=sys.stderr, flush=True)
        os._exit(1)


def _flush() -> None:
    if sys.stdout and not sys.stdout.closed:
        sys.stdout.flush()
