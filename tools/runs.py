"""Training runs under way, ended or stopped, as the files beside their checkpoints show them."""

import math
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import astuple, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote

import psutil
from pydantic import ConfigDict, Field, TypeAdapter
from pydantic import dataclasses as checked

from classifier.results.learning_curve import Epoch, load_curve
from classifier.runtime.errors import InputError
from tools.experiments import PENDING, WORKSPACE

State = Literal["running", "ended", "stopped", "unreadable"]

CURVE = Path("plots/learning_curve.csv")  # of a training run that succeeded, in the folder where it ran
SLACK = 5.0  # seconds by which the start of a process and the time of a file may differ, since systems count coarsely
SILENCE = 120.0  # seconds without a sign of life after which a process on another machine counts as gone

Count = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0)]


@checked.dataclass(frozen=True, config=ConfigDict(strict=True, allow_inf_nan=False))
class Progress:
    """What a training run writes beside its checkpoint; `process` is its number."""

    steps: Count
    total_steps: Annotated[int, Field(ge=1)]
    epochs: Annotated[int, Field(ge=1)]
    seconds: Amount
    images_per_second: Amount
    process: Annotated[int, Field(ge=1, lt=2**31)]


@dataclass(frozen=True)
class Run:
    """A training run.

    Attributes
    ----------
    key
        Name of its files, without suffix.
    curve
        The epochs done.
    progress
        None while there is nothing to read.
    written
        Time of its last sign of life, in seconds since 1970.
    resumable
        Whether it has a checkpoint.
    folder
        Where it runs, if that is known.
    remote
        Whether its process is on another machine, or in a container.
    """

    key: str
    state: State
    curve: tuple[Epoch, ...] = ()
    progress: Progress | None = None
    written: float = 0.0
    resumable: bool = False
    folder: Path | None = None
    remote: bool = False

    @property
    def name(self) -> str:
        """Name of the experiment, or `workspace`."""
        return WORKSPACE if self.key == "train" else unquote(self.key).removesuffix(PENDING)

    def seconds_left(self, now: float) -> float | None:
        """Estimate the time to the end of the training; None when it does not run or has done no step yet."""
        if self.state != "running" or not self.progress or not self.progress.steps:
            return None
        done, total = self.progress.steps, self.progress.total_steps
        return max(0.0, self.progress.seconds / done * (total - done) - (now - self.written))


class Runs:
    """The training runs of a repository: those that have files beside a checkpoint, and those that were seen to end.

    Parameters
    ----------
    folder
        That of the checkpoints.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.found: dict[str, Run] = {}

    def look(self) -> list[Run]:
        """Read all files again, and return the runs: first those that run, by name, then the latest of the others."""
        self.found = {run.key: run for run in self._look()}
        running = sorted((run for run in self.found.values() if run.state == "running"), key=lambda run: run.key)
        others = (run for run in self.found.values() if run.state != "running")
        return running + sorted(others, key=lambda run: run.written, reverse=True)

    def _look(self) -> Iterator[Run]:
        paths = {path.stem: path for path in self.folder.glob("*.csv") if not path.name.startswith(".")}
        for key, path in paths.items():
            before = self.found.get(key)
            try:
                yield _with_state(_read(path), before)
            except FileNotFoundError:  # it is just being written, or removed
                if before:
                    yield before
            except (InputError, OSError, ValueError):
                yield _with_state(before, before) if before else Run(key, "unreadable", written=time.time())
        for key in self.found.keys() - paths.keys():
            before = self.found[key]
            if before.state in ("running", "ended"):
                yield _ended(before)


def _read(path: Path) -> Run:
    file = path.with_suffix(".json")
    progress = TypeAdapter(Progress).validate_json(file.read_bytes())
    # The curve is written first, and has a row for each epoch; before the first one, there is nothing that could be loaded.
    curve = load_curve(path) if progress.steps * progress.epochs >= progress.total_steps else []
    if not all(map(math.isfinite, chain.from_iterable(map(astuple, curve)))):
        raise InputError(f"{path}: should have finite numbers")
    return Run(path.stem, "running", tuple(curve), progress, file.stat().st_mtime, path.with_suffix(".pt").exists())


def _with_state(run: Run, before: Run | None) -> Run:
    """Return a run with its state now; `before` is what was seen of it earlier."""
    if not run.progress:
        return run
    same = before if before and before.progress and before.progress.process == run.progress.process else None
    if process := _process(run.progress.process, run.written):
        with suppress(psutil.Error, OSError):
            return replace(run, state="running", folder=Path(process.cwd()))
        return replace(run, state="running")
    # What writes although this machine has no such process runs elsewhere.
    remote = bool(same and (same.remote or (same.state == "stopped" and run.written > same.written)))
    alive = remote and time.time() - run.written < SILENCE
    return replace(run, state="running" if alive else "stopped", remote=remote, folder=same.folder if same else None)


def _process(number: int, written: float) -> psutil.Process | None:
    """Return the process that wrote a file at that time, if it still runs; a later one may have the same number."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(number)
        with suppress(psutil.AccessDenied):
            if process.status() == psutil.STATUS_ZOMBIE or process.create_time() > written + SLACK:
                return None
        return process
    return None


def _ended(before: Run) -> Run:
    """Return a run whose files are gone, as those of a training that succeeded, with its whole curve if that is at hand."""
    if before.state == "ended":
        return before
    curve = before.curve
    if before.folder:
        with suppress(InputError, OSError):
            if (before.folder / CURVE).stat().st_mtime >= before.written - SLACK:
                curve = tuple(load_curve(before.folder / CURVE))
    return replace(before, state="ended", curve=curve, written=time.time())
