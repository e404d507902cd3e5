"""DVC's experiments: Git references refs/exps/aa/bbbb/NAME, for an experiment on the commit aabbbb.

The same name may exist on several commits, and a branch or tag may have it too. So experiments are read by their hash, and
DVC's commands, which refuse hashes, get the full reference.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from classifier.params import parse_yaml
from classifier.runtime.errors import InputError
from classifier.runtime.stage import ending_signals

WORKSPACE = "workspace"  # the revision that is not in Git
PENDING = "-pending"  # after the name of an experiment until it has succeeded; DVC would rerun every stage to replace one
PUBLISHED = "Published results of "  # before the name, in the message of the commit of an experiment that was not run here


@dataclass(frozen=True)
class Experiment:
    """An experiment: its full reference, the hash of its commit, and the first line of its message."""

    reference: str
    commit: str
    subject: str = ""

    @property
    def name(self) -> str:
        """Name that DVC lists."""
        return self.reference.rpartition("/")[2]

    @property
    def baseline(self) -> str:
        """Hash of the commit on which it ran."""
        return "".join(self.reference.split("/")[2:4])

    @property
    def published(self) -> bool:
        """Whether it is one of those that tools.publish makes: published with the repository, not run here."""
        return self.subject == PUBLISHED + self.name


class Interruption:
    """What SIGINT, SIGTERM and SIGHUP ask of a tool from now on: to end what it started. Ignored ones stay ignored.

    `status` is the exit status for the first that has arrived, 0 before.
    """

    def __init__(self) -> None:
        self.status = 0
        for number in ending_signals():
            signal.signal(number, self._receive)

    def _receive(self, number: int, _: object) -> None:
        self.status = self.status or 128 + number

    def wait(self, seconds: float) -> bool:
        """Wait; return whether a signal has arrived, which an Event cannot tell safely from its handler."""
        time.sleep(seconds)
        return bool(self.status)


def git(*arguments: str, stdin: str = "", environment: Mapping[str, str] | None = None) -> str:
    """Run Git and return what it printed; InputError with Git's own message when it fails."""
    done = subprocess.run(
        ["git", *arguments],
        input=stdin,
        env=environment and os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise InputError(f"git {arguments[0]}: {' '.join(done.stderr.split())}")
    return done.stdout.strip()


def start_dvc(*arguments: str, output: IO[bytes] | int | None = None) -> "subprocess.Popen[bytes]":
    """Start DVC, with this Python first on the path and in a separate process group, so that Ctrl-C does not reach it.

    It prints to `output`, or else to the terminal.
    """
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}  # the lines of DVC and of its stages in their order
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", *arguments]
    errors = subprocess.STDOUT if output else None
    return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, process_group=0)


def interrupt(process: "subprocess.Popen[bytes]") -> None:
    """Interrupt what `start_dvc` started, with the stage that it runs, as Ctrl-C does.

    Where SIGINT is ignored, as under nohup in the background of a shell, they have inherited that, and get SIGTERM.
    """
    ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    os.killpg(process.pid, signal.SIGTERM if ignored else signal.SIGINT) if os.name == "posix" else process.terminate()


def run_dvc(*arguments: str, interruption: Interruption) -> int:
    """Run DVC and return its exit status; after an interruption, which it passes on, KeyboardInterrupt is raised at its end."""
    with start_dvc(*arguments) as process:
        while process.poll() is None:
            if interruption.wait(0.1):
                interrupt(process)
                process.wait()
                raise KeyboardInterrupt
    return process.returncode


def dvc(*arguments: str) -> str:
    """Run DVC and return what it printed; InputError with DVC's own message when it fails."""
    process = start_dvc(*arguments, output=subprocess.PIPE)
    printed = process.communicate()[0].decode(errors="replace").strip()
    if process.returncode != 0:
        raise InputError(f"dvc {' '.join(arguments[:2])}: {' '.join(printed.split())}")
    return printed


def all_experiments() -> list[Experiment]:
    """Return all experiments, on every commit, also pending ones."""
    listing = git("for-each-ref", "--format=%(refname) %(objectname) %(subject)", "refs/exps")
    found = [Experiment(*line.split(" ", 2)) for line in listing.splitlines()]
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
        on_head = [experiment for experiment in found if f"/{head[:2]}/{head[2:]}/" in experiment.reference]
        if not on_head:
            raise InputError(f"{name}: an experiment on several commits; use a hash: {', '.join(e.commit[:10] for e in found)}")
        found = on_head
    return found[0] if found else None


def remove(names: Collection[str]) -> None:
    """Remove all experiments of these names, on whatever commit."""
    if references := [experiment.reference for experiment in all_experiments() if experiment.name in names]:
        dvc("exp", "remove", *references)


def accept(name: str) -> bool:
    """Give the experiment NAME-pending its name, in place of all others of that name; return whether there was one."""
    pending = [experiment.reference for experiment in all_experiments() if experiment.name == name + PENDING]
    if pending:
        remove([name])
        dvc("exp", "rename", pending[0], name)
    return bool(pending)


def up_to_date(name: str, params: Mapping[str, Any]) -> bool:
    """Return whether DVC would run nothing for the experiment with these params and this code, and its outputs are all there.

    DVC answers in a temporary folder with the lock of the experiment, whose outputs must be in Git or in DVC's cache.
    """
    found = [experiment for experiment in all_experiments() if experiment.name == name]
    if len(found) != 1 or not git("ls-tree", found[0].commit, "dvc.lock"):
        return False
    lock = git("show", f"{found[0].commit}:./dvc.lock")
    outputs = {out["path"]: out["md5"] for stage in parse_yaml(lock, "dvc.lock")["stages"].values() for out in stage["outs"]}
    in_git = git("ls-tree", "-r", "--name-only", found[0].commit).splitlines()
    cache = Path(dvc("cache", "dir"), "files", "md5")
    if not all(path in in_git or (cache / md5[:2] / md5[2:]).exists() for path, md5 in outputs.items()):
        return False
    with tempfile.TemporaryDirectory() as folder:
        for path in git("ls-files", "-z").split("\0"):
            if Path(path).is_file() and path not in outputs:
                Path(folder, path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, Path(folder, path))
        Path(folder, "dvc.lock").write_text(lock, encoding="utf-8")
        Path(folder, "params.yaml").write_text(json.dumps(params), encoding="utf-8")
        git("init", "--quiet", folder)
        try:
            return "Running stage" not in dvc("--cd", folder, "repro", "--dry", "--allow-missing")
        except InputError:  # data that a changed stage needs are not in that folder
            return False
