"""Standard streams that can be written to in every environment. Imports the standard library alone."""

import os
import sys


def prepare_streams() -> None:
    """Make printing safe: stages, tools and benchmarks call this before anything else.

    A character that the encoding of a stream lacks, as `±` in ASCII, is written as `?`. Streams that are closed, as under
    some daemons and after `>&-`, lead to nowhere; without that, a file that is opened later would take the number of the
    closed stream, and receive what other programs and libraries print there.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = getattr(sys, name)
        if stream is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere == number:  # unless something else was opened meanwhile
                os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(nowhere, "w" if number else "r", encoding="utf-8"))
        elif number and hasattr(stream, "reconfigure"):  # not in a notebook
            stream.reconfigure(errors="replace")
