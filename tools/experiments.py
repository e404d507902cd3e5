"""DVC's experiments: Git references refs/exps/aa/bbbb/NAME, for an experiment on the commit aabbbb.

The same name may exist on several commits, and a branch or tag may have it too. So experiments are read by their hash, and
DVC's commands, which refuse hashes, get the full reference.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from classifier.runtime.errors import InputError

PENDING = "-pending"  # after the name of an experiment until it has succeeded; DVC would rerun every stage to replace one


@dataclass(frozen=True)
class Experiment:
    """An experiment: its full reference and the hash of its commit."""

    reference: str
    commit: str

    @property
    def name(self) -> str:
        """Name that DVC lists."""
        return self.reference.rpartition("/")[2]

    @property
    def baseline(self) -> str:
        """Hash of the commit on which the experiment ran."""
        return "".join(self.reference.split("/")[2:4])


def git(*arguments: str) -> str:
    """Run Git and return what it printed; InputError with Git's own message when it fails."""
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise InputError(f"git {arguments[0]}: {' '.join(done.stderr.split())}")
    return done.stdout.strip()


def start_dvc(*arguments: str, output: IO[bytes] | int | None = None) -> "subprocess.Popen[bytes]":
    """Start DVC, with this Python first on the path and in a process group of its own, which Ctrl-C does not reach.

    It prints to `output`, or else to the terminal.
    """
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}  # the lines of DVC and of its stages in their order
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", *arguments]
    errors = subprocess.STDOUT if output else None
    return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, process_group=0)


def interrupt(process: "subprocess.Popen[bytes]") -> None:
    """Interrupt what `start_dvc` started, with the stage that it runs, as Ctrl-C does."""
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.terminate()


def dvc(*arguments: str) -> None:
    """Run DVC; InputError with DVC's own message when it fails."""
    process = start_dvc(*arguments, output=subprocess.PIPE)
    printed, _ = process.communicate()
    if process.returncode != 0:
        raise InputError(f"dvc {' '.join(arguments[:2])}: {' '.join(printed.decode(errors='replace').split())}")


def all_experiments() -> list[Experiment]:
    """Return all experiments, on every commit, also pending ones."""
    listing = git("for-each-ref", "--format=%(refname) %(objectname)", "refs/exps")
    found = [Experiment(*line.split()) for line in listing.splitlines()]
    return [experiment for experiment in found if experiment.reference.count("/") == 4]  # others are DVC's own state


def names() -> list[str]:
    """Return the names of all experiments that succeeded."""
    return sorted({experiment.name for experiment in all_experiments() if not experiment.name.endswith(PENDING)})


def find(name: str) -> Experiment | None:
    """Return the experiment of this name, if there is one: that on HEAD, or the only one.

    Raises
    ------
    InputError
        When the name exists on several other commits.
    """
    found = [experiment for experiment in all_experiments() if experiment.name == name]
    if len(found) > 1:
        head = git("rev-parse", "HEAD")
        on_head = [experiment for experiment in found if experiment.baseline == head]
        if not on_head:
            raise InputError(f"{name}: an experiment on several commits; use a hash: {', '.join(e.commit[:10] for e in found)}")
        found = on_head
    return found[0] if found else None


def remove(*experiments: Experiment) -> None:
    """Remove experiments."""
    if experiments:
        dvc("exp", "remove", *(experiment.reference for experiment in experiments))


def remove_pending(names: Collection[str]) -> None:
    """Remove the experiments that ran under these names and never got them."""
    remove(*[experiment for experiment in all_experiments() if experiment.name in {name + PENDING for name in names}])


def accept(name: str) -> bool:
    """Give the experiment NAME-pending its name, in place of all others of that name; return whether there was one.

    An earlier one on the same commit with the same files stays, so that its hash is still the one that others pulled.
    """
    found = all_experiments()
    new = next((experiment for experiment in found if experiment.name == name + PENDING), None)
    if new is None:
        return False
    old = [experiment for experiment in found if experiment.name == name]
    same = [experiment for experiment in old if experiment.baseline == new.baseline and not _differences(experiment, new)]
    remove(*[experiment for experiment in old if experiment not in same], *([new] if same else []))
    if not same:
        dvc("exp", "rename", new.reference, name)
    return True


def _differences(one: Experiment, other: Experiment) -> str:
    """Return the files that differ, but for DVC's own, which hold the name and the folder of the run."""
    return git("diff", "--name-only", one.commit, other.commit, "--", ".", ":!.dvc/tmp")
