"""Run variants as DVC experiments of their names, in temporary folders: the workspace stays as it is.

A variant is a file variants/NAME.yaml that holds only what differs from params.yaml. What is up to date is not run again, and
a run that was stopped resumes.

  python -m tools.variant batchnorm
  python -m tools.variant initial batchnorm augmented --jobs 2
  python -m tools.variant augmented --seeds 0 1 2
  python -m tools.variant batchnorm -S train.epochs=2 -S data.name=digits
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from dvc.api import DVCFileSystem
from filelock import Timeout

from classifier.data.sources import keep_foreign_files
from classifier.params import check_mapping, flatten, parse_yaml, read_yaml
from classifier.runtime.errors import InputError
from classifier.runtime.files import atomic_outputs, check_folder, copy_folder
from classifier.runtime.locks import file_lock
from classifier.variants import PARAMS, as_override, edited, merge, plan, variant_names
from tools.experiments import (
    PENDING,
    Interruption,
    accept,
    all_experiments,
    find,
    git,
    interrupt,
    remove,
    start_dvc,
    up_to_date,
)
from tools.folder import changed, pack_again
from tools.preflight import check_experiments, check_names, check_project, repair, running
from tools.refresh import has_current_weights, refresh_weights

LOGS = Path("logs")
PARTS = ("metrics", "plots")  # that --export copies


def main() -> None:
    """Run the tool."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.variant", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="+", metavar="NAME", help=f"one of {', '.join(variant_names())}")
    parser.add_argument(
        "-S", "--set-param", action="append", default=[], metavar="KEY=VALUE", help="override a value, as in dvc exp run"
    )
    parser.add_argument("--seeds", nargs="+", type=int, metavar="N", help="run each seed; another than NAME has is NAME-seed-N")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help=f"run N at a time, logs in {LOGS}/ (default: 1)")
    parser.add_argument(
        "--compare", type=Path, metavar="FOLDER", help="compare the experiments with tools.compare, and write there"
    )
    parser.add_argument("--export", type=Path, metavar="FOLDER", help="copy metrics and plots of the last experiment there")
    arguments = parser.parse_args()
    if arguments.jobs < 1:
        raise InputError(f"--jobs {arguments.jobs}: should be 1 or more")
    for folder in filter(None, (arguments.compare, *(arguments.export / part for part in PARTS if arguments.export))):
        check_folder(folder)
    interruption = Interruption()
    try:
        check_project()
        check_experiments()
        base, undo = committed_params()
        experiments = plan(base, arguments.names, arguments.set_param, arguments.seeds)
        check_names(experiments)
        for line in repair():
            print(f"variant: {line}", flush=True)
        with locked(experiments, interruption):
            run(experiments, base, undo, arguments.jobs, interruption)
        for branch in (name for name in experiments if git("for-each-ref", f"refs/heads/{name}", f"refs/tags/{name}")):
            print(f"variant: {branch} is a branch or a tag, too, which DVC's commands take for it: rename that", flush=True)
        if arguments.export:
            export(list(experiments)[-1], arguments.export)
    except KeyboardInterrupt:
        print("variant: interrupted; the same command continues with what is not done", file=sys.stderr)
        sys.exit(interruption.status)
    if arguments.compare:
        from tools import compare

        compare.main([*experiments, "--output", str(arguments.compare)])
    else:
        print(f"variant: done; to compare: python -m tools.compare {' '.join(experiments)}")


def committed_params() -> tuple[Any, dict[str, Any]]:
    """Return the params that variants build on, and the committed values of those that are edited in the workspace.

    Variants build on the committed params.yaml, so that a name stands for the same values whatever is edited; only
    `data.sources`, which changes no result, is taken as it is in the workspace. A line says so when the file is edited.
    """
    workspace = read_yaml(PARAMS)
    where = f"the committed {PARAMS}"
    committed = check_mapping(parse_yaml(git("show", f"HEAD:./{PARAMS}"), where), where)
    undo = edited(committed, workspace)
    if undo:
        print(
            f"variant: {PARAMS} is edited ({', '.join(undo)}), but variants build on the committed one; to include an edit, "
            f"commit it or add -S KEY=VALUE",
            flush=True,
        )
    return merge(committed, {"data": {"sources": workspace["data"]["sources"]}}), undo


@contextmanager
def locked(names: Iterable[str], interruption: Interruption) -> Iterator[None]:
    """Hold the lock of each experiment, so that no other process runs it meanwhile; wait for one that does."""
    with ExitStack() as stack:
        for name in sorted(names):
            lock = file_lock(Path(".dvc/tmp", f"experiment-{name}.lock"))
            with suppress(Timeout):
                lock.acquire(timeout=0)
            if not lock.is_locked:
                others = " or ".join(f"process {process.pid}" for process in running("tools.variant")) or "another process"
                print(f"variant: {name} is being run by {others}: waiting for its end", flush=True)
            while not lock.is_locked:
                if interruption.wait(0.5):
                    raise KeyboardInterrupt
                with suppress(Timeout):
                    lock.acquire(timeout=0)
            stack.callback(lock.release)
        yield


def run(experiments: Mapping[str, Any], base: Any, undo: Mapping[str, Any], jobs: int, interruption: Interruption) -> None:
    """Run the pipeline with the differences of each experiment that is not up to date, `jobs` at a time.

    The differences are those from `base`; `undo` has the values by key with which DVC makes it of the params in the workspace.
    An experiment of the same name is replaced when the new one has succeeded. InputError names those that failed, at the end.
    """
    published = {experiment.name for experiment in all_experiments() if experiment.published}
    commands: dict[str, list[str]] = {}
    merged = {name: merge(base, differences) for name, differences in experiments.items()}
    refresh_weights("variant", interruption, [params["network"].get("pretrained", "none") for params in merged.values()])
    for name, differences in experiments.items():
        if interruption.status:
            raise KeyboardInterrupt
        changes = flatten(differences)
        params = merged[name]
        current = (
            up_to_date(name, params)
            and not images_changed(name, params)
            and has_current_weights(name, params["network"].get("pretrained", "none"))
        )
        if not current:
            commands[name] = [f"--set-param={as_override(key, value)}" for key, value in {**undo, **changes}.items()]
        listed = ", ".join(as_override(key, value) for key, value in changes.items()) or f"{PARAMS} unchanged"
        replaced = " in place of the published results" if name in published else ""
        print(f"variant: {name} ({listed}): {'up to date' if current else f'to run{replaced}'}", flush=True)
    keep_foreign_files()
    pack_again([merged[name] for name in commands], interruption)
    remove([name + PENDING for name in commands])  # left by a run that was killed
    done = {name for name in experiments if name not in commands}
    if jobs > 1:  # experiments with the same data share what comes before the training: it runs once, first
        groups = {name: json.dumps(experiments[name].get("data")) for name in commands}
        first = {group: name for name, group in reversed(groups.items())}
        for name, status in finished({name: [*commands[name], "preprocess"] for name in first.values()}, 1, interruption):
            if status != 0:
                commands = {other: command for other, command in commands.items() if groups[other] != groups[name]}
        remove([name + PENDING for name in groups])
    for _ in finished(commands, jobs, interruption):
        # Two runs of DVC that start and end at the same moment may take each other's experiment: look for all of them.
        accepted = [name for name in experiments if name not in done and accept(name)]
        done |= set(accepted)
        for name in accepted:
            print(f"variant: {name}: done; dvc exp apply {name} takes its params and results over", flush=True)
    if failed := [name for name in experiments if name not in done]:
        raise InputError(f"failed: {', '.join(failed)}; see the output above{f' and the logs in {LOGS}' if jobs > 1 else ''}")


def images_changed(name: str, params: Mapping[str, Any]) -> bool:
    """Return whether the folder of images of an experiment, which has run, has changed since."""
    experiment = find(name)
    return bool(experiment and changed(params, git("show", f"{experiment.commit}:./dvc.lock")))


def finished(commands: Mapping[str, Sequence[str]], jobs: int, interruption: Interruption) -> Iterator[tuple[str, int]]:
    """Run `dvc exp run --temp` for each command, `jobs` at a time; yield each name with its exit status as it ends.

    After an interruption, which raises KeyboardInterrupt, or an error, what still runs is interrupted once and waited for.
    """
    waiting, running = dict(commands), dict[str, subprocess.Popen[bytes]]()
    logs = {name: LOGS / f"{name}.log" for name in commands if jobs > 1}
    try:
        while waiting or running:
            if interruption.wait(0.1):
                raise KeyboardInterrupt
            # Starts do not overlap: until DVC prints the name, the experiment lies in a stash that all its runs share.
            starting = any(logs and (name + PENDING) not in logs[name].read_text("utf-8", "replace") for name in running)
            if waiting and len(running) < jobs and not starting:
                name = next(iter(waiting))
                if logs:
                    LOGS.mkdir(exist_ok=True)
                    print(f"variant: {name}: started, log in {logs[name]}", flush=True)
                with logs[name].open("wb") if logs else nullcontext() as log:
                    command = ["exp", "run", "--temp", f"--name={name}{PENDING}", *waiting.pop(name)]
                    running[name] = start_dvc(*command, output=log)
            for name in [name for name, process in running.items() if process.poll() is not None]:
                status = running.pop(name).wait()
                if logs and status:
                    print(f"variant: {name}: failed", flush=True)
                yield name, status
    finally:
        for process in running.values():
            interrupt(process)
        for process in running.values():
            process.wait()


def export(name: str, folder: Path) -> None:
    """Copy metrics and plots of an experiment into a folder, in place of what is there, as a set."""
    if experiment := find(name):
        files, prefix = DVCFileSystem(rev=experiment.commit, subrepos=True), git("rev-parse", "--show-prefix")
        with tempfile.TemporaryDirectory() as new, atomic_outputs() as place:
            for part in PARTS:
                files.get(prefix + part, str(Path(new, part)), recursive=True)
                copy_folder(Path(new, part), place(folder / part))


if __name__ == "__main__":
    main()
