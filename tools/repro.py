"""Run the pipeline: checks and repairs, `dvc repro`, and a summary of the results.

python -m tools.repro [ARGUMENT ...]    arguments for dvc repro, as in --force train; --quiet leaves out the summary
"""

import sys
from pathlib import Path

from classifier.data.sources import keep_foreign_files
from classifier.runtime.errors import InputError
from tools.experiments import Interruption, interrupt, start_dvc
from tools.preflight import check_no_other_run, check_project, repair
from tools.summary import summary


def main() -> None:
    """Run the tool."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(__doc__)
        return
    interruption = Interruption()
    try:
        check_project()
        check_no_other_run()
        for line in repair():
            print(f"repro: {line}", flush=True)
        keep_foreign_files()
        with start_dvc("repro", *sys.argv[1:]) as process:
            while process.poll() is None:
                if interruption.wait(0.1):
                    interrupt(process)
                    process.wait()
        if interruption.status:
            print("repro: interrupted; make repro or dvc repro continues where it stopped", file=sys.stderr)
            sys.exit(interruption.status)
        if process.returncode:
            sys.exit(process.returncode)
        if not {"-q", "--quiet"} & set(sys.argv[1:]):
            print(summary(Path(), None))
    except InputError as error:
        sys.exit(f"repro: {error}")


if __name__ == "__main__":
    main()
