"""Run the pipeline: checks and repairs, `dvc repro`, and a summary of the results.

python -m tools.repro [ARGUMENT ...]    arguments for dvc repro, as in --force train
"""

import signal
import sys
import threading
from pathlib import Path

from classifier.data.sources import keep_foreign_files
from classifier.runtime.errors import InputError
from tools.experiments import run_dvc
from tools.preflight import check_project, repair
from tools.refresh import refresh_weights
from tools.summary import summary


def main() -> None:
    """Run the tool."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(__doc__)
        return
    interrupted = threading.Event()
    for number in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, number) and signal.getsignal(getattr(signal, number)) != signal.SIG_IGN:
            signal.signal(getattr(signal, number), lambda *_: interrupted.set())
    try:
        check_project()
        for line in repair():
            print(f"repro: {line}", flush=True)
        keep_foreign_files()
        if "--dry" not in sys.argv:
            refresh_weights("repro", interrupted)
        if status := run_dvc("repro", *sys.argv[1:], interrupted=interrupted):
            sys.exit(status)
        print(summary(Path(), None))
    except InputError as error:
        sys.exit(f"repro: {error}")
    except KeyboardInterrupt:
        print("repro: interrupted; make repro or dvc repro continues where it stopped", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
