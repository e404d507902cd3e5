"""Benchmarks: speed of this program, compared with a conventional training loop."""

import sys

from classifier.runtime.errors import excepthook
from classifier.runtime.streams import prepare_streams

WARM_UP = 20  # steps before the measurement of images per second starts

prepare_streams()  # here, so that no benchmark forgets it
sys.excepthook = excepthook


def peak_megabytes() -> float:
    """Return the largest amount of memory that this process has held, in units of 2^20 bytes."""
    if sys.platform == "win32":
        import psutil

        return float(psutil.Process().memory_info().peak_wset) / 2**20
    import resource

    unit = 1 if sys.platform == "darwin" else 2**10  # bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
