"""Run the pipeline: checks and repairs, `dvc repro`, and a summary of the results.

python -m tools.repro [ARGUMENT ...]    arguments for dvc repro, as in --force train; --quiet leaves out the summary
"""

import sys
from pathlib import Path

from classifier.data.sources import keep_foreign_files
from classifier.params import read_yaml
from classifier.variants import PARAMS
from tools.experiments import Interruption, run_dvc
from tools.folder import pack_again
from tools.preflight import check_no_other_run, check_project, repair
from tools.refresh import refresh_weights
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
        if "--dry" not in sys.argv:
            pack_again([read_yaml(PARAMS)], interruption)
            refresh_weights("repro", interruption)
        if status := run_dvc("repro", *sys.argv[1:], interruption=interruption):
            sys.exit(status)
        if not {"-q", "--quiet"} & set(sys.argv[1:]):
            print(summary(Path(), None))
    except KeyboardInterrupt:
        print("repro: interrupted; make repro or dvc repro continues where it stopped", file=sys.stderr)
        sys.exit(interruption.status)


if __name__ == "__main__":
    main()
