"""Run the pipeline: checks and repairs, `dvc repro`, and a summary of the results.

python -m tools.repro [ARGUMENT ...]    arguments for dvc repro, as in --force train; --quiet leaves out the summary
"""

import sys
from contextlib import suppress
from pathlib import Path

from classifier.data.sources import keep_foreign_files
from classifier.params import read_yaml
from classifier.runtime.stage import restore_from_cache, restore_from_git
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
        if status := run(*sys.argv[1:], interruption=interruption):
            sys.exit(status)
        if not {"-q", "--quiet"} & set(sys.argv[1:]):
            print(summary(Path(), None))
    except KeyboardInterrupt:
        print("repro: interrupted; make repro or dvc repro continues where it stopped", file=sys.stderr)
        sys.exit(interruption.status)


def run(*arguments: str, interruption: Interruption) -> int:
    """Run `dvc repro` and return its exit status; where it fails or is interrupted, restore the outputs that it deleted.

    A stage does so itself, but not one that is killed, as for lack of memory, or stopped before it handles signals.
    """
    before = complete_stages()
    status = 1
    try:
        status = run_dvc("repro", *arguments, interruption=interruption)
    finally:
        if status:
            with suppress(Exception):  # which would hide why the run ended; as when the disk is full
                for name in before - complete_stages():
                    restore_from_cache(name, orphaned=True)
                    restore_from_git(name)
    return status


def complete_stages() -> set[str]:
    """Return the stages of which all outputs are there that dvc.lock lists."""
    lock = Path("dvc.lock")
    stages = (read_yaml(lock) or {}).get("stages", {}) if lock.exists() else {}
    return {name for name, stage in stages.items() if all(Path(output["path"]).exists() for output in stage["outs"])}


if __name__ == "__main__":
    main()
