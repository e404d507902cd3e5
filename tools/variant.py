"""Run variants as DVC experiments of their names, in temporary folders: the workspace stays as it is.

A variant is a file variants/NAME.yaml that holds only what differs from params.yaml. What DVC has in its cache is not
computed again, so a run that was stopped goes on where it was, and one that was finished runs nothing.

  python -m tools.variant batchnorm
  python -m tools.variant initial batchnorm augmented --jobs 2
  python -m tools.variant augmented --seeds 0 1 2
  python -m tools.variant batchnorm -S train.epochs=2 -S data.name=digits
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from classifier.data.sources import keep_foreign_files
from classifier.params import flatten, parse_params, read_yaml
from classifier.runtime.errors import InputError
from classifier.variants import PARAMS, merge, parse_override, read_variant, variant_names
from tools.experiments import remove, rename, up_to_date


def main() -> None:
    """Run the tool."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.variant", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="+", metavar="NAME", help=f"one of {', '.join(variant_names())}")
    parser.add_argument(
        "-S", "--set-param", action="append", default=[], metavar="KEY=VALUE", help="override a value, as in dvc exp run"
    )
    parser.add_argument("--seeds", nargs="+", type=int, metavar="N", help="run each seed as the experiment NAME-seed-N")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="run N at a time through DVC's queue (default: 1)")
    parser.add_argument("--export", type=Path, metavar="FOLDER", help="put metrics and plots of the last experiment there too")
    arguments = parser.parse_args()
    try:
        experiments = plan(arguments.names, arguments.set_param, arguments.seeds)
        for experiment, differences in experiments.items():
            parse_params(merge(read_yaml(PARAMS), differences), f"variant {experiment} on {PARAMS}")
        run(experiments, arguments.jobs)
        if arguments.export:
            export(list(experiments)[-1], arguments.export)
    except InputError as error:
        sys.exit(f"variant: {error}")
    except KeyboardInterrupt:
        print("variant: interrupted; the same command goes on with what is not done", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    print(f"variant: done; to compare: python -m tools.compare {' '.join(experiments)}")


def plan(names: Sequence[str], overrides: Sequence[str], seeds: Sequence[int] | None) -> dict[str, Any]:
    """Return what differs from params.yaml in each experiment, by its name."""
    experiments = {}
    for name in names:
        differences = read_variant(name)
        for override in overrides:
            differences = merge(differences, parse_override(override))
        if seeds is None:
            experiments[name] = differences
        else:
            experiments |= {f"{name}-seed-{seed}": merge(differences, {"train": {"seed": seed}}) for seed in seeds}
    return experiments


def run(experiments: Mapping[str, Any], jobs: int) -> None:
    """Run the pipeline with the differences of each experiment that is not up to date; `jobs` at a time.

    An earlier experiment of the same name is replaced when the new one has succeeded, also one on another commit: DVC's
    commands take a name only when it is the only one.

    Raises
    ------
    InputError
        When an experiment failed; DVC has said why then.
    """
    keep_foreign_files()
    wait_for_queue()
    waiting: dict[str, list[str]] = {}
    for name, differences in experiments.items():
        values = [f"{key}={json.dumps(value)}" for key, value in flatten(differences).items()]
        params = merge(read_yaml(PARAMS), differences)
        if up_to_date(pending(name), params):  # done, but the run that started it was stopped before it could say so
            rename(pending(name), name)
        current = up_to_date(name, params)
        state = "up to date" if current else "to run"
        print(f"variant: {name} ({', '.join(values) or 'params.yaml as it stands'}): {state}", flush=True)
        if not current:
            remove(pending(name))
            waiting[name] = ["--name", pending(name), *(f"--set-param={value}" for value in values)]
    if waiting and jobs > 1:
        first = next(iter(waiting))
        dvc("exp", "run", "--temp", *waiting[first], "preprocess")  # once: jobs that start together find it in the cache
        remove(pending(first))
        for options in waiting.values():
            dvc("exp", "run", "--queue", *options)
        dvc("exp", "run", "--run-all", f"--jobs={jobs}")
    for name, options in waiting.items():
        if jobs == 1:
            dvc("exp", "run", "--temp", *options)
        if not rename(pending(name), name):
            raise InputError(f"{name} failed; why: dvc queue logs {pending(name)}")


def wait_for_queue() -> None:
    """Wait until DVC's queue is done: its workers outlive the run that started them, and keep DVC locked meanwhile."""
    told = False
    while queue_is_busy():
        if not told:
            print("variant: waiting for what an earlier run left in DVC's queue; dvc queue stop --kill ends it", flush=True)
            told = True
        time.sleep(1)


def queue_is_busy() -> bool:
    """Return whether workers of DVC's queue run in this repository; `dvc queue status` misses those too busy to answer."""
    processes = [process.info for process in psutil.process_iter(["cmdline", "cwd"])]
    return any("queue-worker" in (info["cmdline"] or ()) and info["cwd"] == str(Path.cwd()) for info in processes)


def pending(name: str) -> str:
    """Return the name under which an experiment runs until it has succeeded; DVC would force every stage to replace one."""
    return f"{name}-pending"


def dvc(*arguments: str) -> None:
    """Run DVC with this Python first on the path, when no other one runs here; InputError when it fails."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", *arguments]
    if subprocess.run(command, env=os.environ | {"PATH": path}, check=False).returncode != 0:
        raise InputError(f"dvc {' '.join(arguments)} failed; why, stands above")


def export(name: str, folder: Path) -> None:
    """Put metrics and plots of an experiment into a folder, in place of what is there."""
    from dvc.api import DVCFileSystem

    files = DVCFileSystem(rev=name)
    for part in ("metrics", "plots"):
        shutil.rmtree(folder / part, ignore_errors=True)
        files.get(part, str(folder / part), recursive=True)


if __name__ == "__main__":
    main()
