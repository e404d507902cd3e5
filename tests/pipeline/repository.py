"""The project in a Git repository of its own, where real DVC runs on a small data set."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import Any

import psutil
from dvc.api import DVCFileSystem

from classifier.params import parse_yaml
from tests import preloaded
from tests.conftest import ROOT, parameters

# The digits, and a network that learns something in a second.
SMALL = {
    "data.name": "digits",
    "network.widths": "[8,16]",
    "network.hidden_width": "32",
    "augmentation.crop_padding": "1",
    "augmentation.flip": "false",
    "train.epochs": "2",
    "train.batch_size": "32",
    "train.learning_rate": "0.001",
    "plot.mistakes": "4",
    "plot.dots_per_inch": "50",
}


class Repository:
    """A copy of this project's files under version control, without results."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = environment()
        copy_code(folder)
        (folder / "params.yaml").write_text(parameters(), encoding="utf-8")
        for key, value in SMALL.items():
            self.set(key, value)
        self.run("git", "init", "--quiet", "--initial-branch=main")
        self.run("git", "config", "user.name", "Tester")
        self.run("git", "config", "user.email", "tester@example.com")
        self.commit("Start")

    @classmethod
    def clone(cls, folder: Path) -> "Repository":
        """Return a clone of this project's last commit, as set-up leaves it, with the code as it is in the working tree."""
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], env=environment(), check=True)
        copy_code(folder)
        clone = object.__new__(cls)
        clone.folder, clone.environment = folder, environment()
        clone.real("tools.publish", "--restore")
        return clone

    def run(self, *command: str, fails: bool | None = False) -> str:
        """Run a command in the repository, and return what it printed; with `fails` None, it may succeed or fail."""
        with self._start(command) as running:
            output, _ = running.communicate()
        assert fails in {None, running.returncode != 0}, f"{' '.join(command)} ended with {running.returncode}:\n{output}"
        return output

    def dvc(self, *arguments: str, fails: bool | None = False) -> str:
        """Run DVC, and return what it printed."""
        return self.python("dvc", *arguments, fails=fails)

    def python(self, module: str, *arguments: str, fails: bool | None = False) -> str:
        """Run a module, and return what it printed. What it starts has the libraries imported already (`preloaded`)."""
        return self.run(preloaded.python(), "-m", module, *arguments, fails=fails)

    def real(self, module: str, *arguments: str, fails: bool = False) -> str:
        """Run a module as a user does, each process with its imports, and return what it printed."""
        return self.run(sys.executable, "-m", module, *arguments, fails=fails)

    def start(self, module: str, *arguments: str, interpreter: str = sys.executable) -> "subprocess.Popen[str]":
        """Start a module, as a user does by default, in a process group of its own, what it prints to be read."""
        return self._start([interpreter, "-m", module, *arguments], start_new_session=True)

    def _start(self, command: Sequence[str], *, start_new_session: bool = False) -> "subprocess.Popen[str]":
        environment = self.environment
        if command[0] == preloaded.python():  # for the stages, which DVC starts as `python`
            folder = str(Path(command[0]).parent)
            environment = environment | {"PATH": os.pathsep.join([folder, environment["PATH"]])}
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=start_new_session,
        )

    def kill_at(self, line: str, module: str, *arguments: str) -> str:
        """Run a module, kill all that runs in the folder when a line begins this way, and return what it had printed."""
        with self.start(module, *arguments) as running:
            assert running.stdout
            output = printed = ""
            while not printed.startswith(line):
                printed = running.stdout.readline()
                assert printed, f"{line} was not printed:\n{output}"
                output += printed
            while processes := self.processes():
                for process in processes:
                    with suppress(psutil.NoSuchProcess):
                        process.kill()
        return output

    def processes(self) -> list[psutil.Process]:
        """Return the processes that run in the folder or below it."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if Path(process.cwd()).is_relative_to(self.folder) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def commit(self, message: str) -> None:
        """Commit all that is not ignored."""
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", message)

    def set(self, key: str, value: str) -> None:
        """Change one value of params.yaml as a person does, in its line."""
        section, name = key.split(".")
        path = self.folder / "params.yaml"
        lines = path.read_text().splitlines()
        start = next(number for number, line in enumerate(lines) if line.startswith(f"{section}:"))
        number = next(number for number in range(start + 1, len(lines)) if lines[number].startswith(f"  {name}:"))
        items = takewhile(lambda line: line.startswith("  - "), lines[number + 1 :])  # of a list as DVC writes it
        lines[number : number + 1 + len(list(items))] = [f"  {name}: {value}"]
        path.write_text("\n".join(lines) + "\n")

    def replace(self, name: str, old: str, new: str) -> None:
        """Change a word of a file, which must be there."""
        path = self.folder / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    def at(self, folder: Path) -> "Repository":
        """Return the repository that lies in another folder, as it is."""
        other = object.__new__(Repository)
        other.folder, other.environment = folder, self.environment
        return other

    def hashes(self, experiment: str | None = None) -> dict[str, str]:
        """Return the md5 of every output as dvc.lock records it, here or in an experiment."""
        text = self.experiment(experiment).read_text("dvc.lock") if experiment else (self.folder / "dvc.lock").read_text()
        stages = parse_yaml(text, "dvc.lock")["stages"]
        return {output["path"]: output["md5"] for stage in stages.values() for output in stage["outs"]}

    def json(self, name: str) -> Any:
        """Read a JSON file."""
        return json.loads((self.folder / name).read_text())

    def experiment(self, name: str) -> DVCFileSystem:
        """Return the files of an experiment."""
        return DVCFileSystem(str(self.folder), rev=name)

    def content(self, paths: Iterable[str]) -> dict[str, bytes]:
        """Read files."""
        return {path: (self.folder / path).read_bytes() for path in paths}


def copy_code(folder: Path) -> None:
    """Copy this project's files as they are in the working tree, but no results, tests or docs."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
        results = name == "dvc.lock" or name.startswith(("metrics/", "plots/", "tests/", "docs/"))
        if not results and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def environment() -> dict[str, str]:
    """Return the variables of this process without those of its own Git, DVC and coverage, and with its Python first."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "DVC_", "COV_", "COVERAGE"))}
    return kept | {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}


def ran(output: str) -> list[str]:
    """Return the stages that DVC says it ran."""
    return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")]
