"""Run the pipeline: checks and repairs, `dvc repro`, and a summary of the results.

python -m tools.repro [ARGUMENT ...]    arguments for dvc repro, as in --force train
"""

import signal
import sys
import threading
from pathlib import Path

from classifier.data.sources import keep_foreign_files
from classifier.params import read_yaml
from classifier.runtime.errors import InputError
from tools.experiments import interrupt, start_dvc
from tools.folder import pack_again
from tools.preflight import check_project, repair
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
        pack_again([read_yaml(Path("params.yaml"))], interrupted)
        with start_dvc("repro", *sys.argv[1:]) as process:
            while process.poll() is None:
                if interrupted.wait(0.1):
                    interrupt(process)
                    process.wait()
        if interrupted.is_set():
            raise KeyboardInterrupt  # noqa: TRY301
        if process.returncode:
            sys.exit(process.returncode)
        print(summary(Path(), None))
    except KeyboardInterrupt:
        print("repro: interrupted; make repro or dvc repro continues where it stopped", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except InputError as error:
        sys.exit(f"repro: {error}")


if __name__ == "__main__":
    main()
