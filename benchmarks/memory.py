"""Peak anonymous memory of every process that a command starts, for data that need not fit into memory; Linux alone.

python -m benchmarks.memory COMMAND ...    as in python -m benchmarks.memory python -m stages.preprocess
Memory-mapped files do not count: the system takes their pages back when it needs them. Shared pages count for each process.
"""

import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

INTERVAL = 0.2  # seconds between two looks


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    command = sys.argv[1:] if arguments is None else arguments
    if not command or command[0].startswith("-"):
        sys.exit(__doc__)
    process = psutil.Popen(command)
    peaks: dict[int, int] = {}
    names: dict[int, str] = {}
    try:
        while True:
            try:
                status = process.wait(timeout=INTERVAL)
                break
            except psutil.TimeoutExpired:
                with suppress(psutil.NoSuchProcess):
                    for each in [process, *process.children(recursive=True)]:
                        with suppress(psutil.NoSuchProcess, OSError):
                            peaks[each.pid] = max(peaks.get(each.pid, 0), anonymous(each.pid))
                            names[each.pid] = " ".join(each.cmdline()) or names.get(each.pid, "")  # empty as it ends
    finally:  # also where the command is interrupted
        for pid, peak in peaks.items():
            print(f"memory: {peak / 2**20:8,.1f} MiB at most  {names.get(pid, '')[:80]}")
    sys.exit(status)


def anonymous(pid: int) -> int:
    """Return the anonymous memory of a process in bytes, 0 for one that has ended."""
    found = re.search(r"^RssAnon:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return 1024 * int(found[1]) if found else 0


if __name__ == "__main__":
    main()
