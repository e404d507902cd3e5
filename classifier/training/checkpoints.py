"""Checkpoints: the state of a training run in a file, from which it resumes, and what those who watch it may read."""

import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from classifier.networks.tensor_file import load_tensors, save_tensors
from classifier.results.learning_curve import Epoch, save_curve
from classifier.results.table import write_json
from classifier.runtime.console import log
from classifier.runtime.errors import InputError, is_out_of_memory

LONGEST_VALUE = 40  # characters of a value that is shown; a longer one (a checksum) is only said to have changed
MOST_DIFFERENCES = 5  # that are named
INTERVAL = "CLASSIFIER_CHECKPOINT_SECONDS"  # environment variable: the least time between two checkpoints, for tests


def fingerprint(settings: Mapping[str, Any], files: Mapping[str, Path]) -> dict[str, str]:
    """Return everything that the bytes of a training run depend on, by name: settings, and the SHA-256 of files."""
    values = {name: str(value) for name, value in settings.items()}
    for name, path in files.items():
        with path.open("rb") as file:
            values[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return values


class Checkpoint:
    """The checkpoint of one training run.

    Raises InputError when the environment variable `CLASSIFIER_CHECKPOINT_SECONDS` is not a number.

    Parameters
    ----------
    path
        Of the file.
    fingerprint
        Of the run; a checkpoint with another one is not used.
    """

    def __init__(self, path: Path, fingerprint: Mapping[str, str]) -> None:
        self.path = path
        self.curve, self.progress = path.with_suffix(".csv"), path.with_suffix(".json")
        self.fingerprint = dict(fingerprint)
        self.seconds = _interval()
        self.saved_at = time.monotonic()

    def load(self) -> dict[str, Any] | None:
        """Return the state that the same training run saved last, or None.

        When there is a checkpoint that cannot be used, a line says why; a damaged one is renamed. One that cannot be read, for
        lack of permission or memory, stays where it is, and the error is raised.
        """
        try:
            saved = load_tensors(self.path)
            found, state = saved.get("fingerprint", {}), saved["state"]
        except FileNotFoundError:
            return None
        except Exception as error:  # damaged bytes raise exceptions of many types
            if is_out_of_memory(error) or (isinstance(error, OSError) and error.strerror):
                raise
            renamed = self.path.replace(self.path.with_name(f"{self.path.name}.damaged"))
            log(f"train: {self.path} is damaged, renamed to {renamed.name}; starting over")
            return None
        if difference := _difference(found, self.fingerprint):
            log(f"train: {self.path} is of another training run ({difference}); starting over")
            return None
        return state  # type: ignore[no-any-return]

    def check(self, fingerprint: Mapping[str, str]) -> None:
        """Check that the fingerprint is still that of the start: DVC records params and code as they are at the end.

        Raises
        ------
        InputError
            Naming what was edited while the training ran.
        """
        if difference := _difference(self.fingerprint, fingerprint):
            raise InputError(
                f"edited while the training ran: {difference}; DVC would record the result under these new values. Undo the "
                "edit and run dvc repro, which resumes at the end; make variant trains in a copy, beside which you can edit"
            )

    def is_due(self) -> bool:
        """Return whether the last save, or the start, was 30 seconds ago or more."""
        return time.monotonic() - self.saved_at >= self.seconds

    def save(self, state: Mapping[str, Any]) -> None:
        """Replace the checkpoint by one of this state, tensors and plain values, whole or not at all."""
        save_tensors({"fingerprint": self.fingerprint, "state": state}, self.path)
        self.saved_at = time.monotonic()

    def show(self, epochs: Sequence[Epoch], progress: Mapping[str, float]) -> None:
        """Write the curve so far and how far the training is, beside the checkpoint, each whole or not at all."""
        save_curve(epochs, self.curve)
        write_json(self.progress, {**progress, "process": os.getpid()})

    def remove(self) -> None:
        """Remove the checkpoint and what lies beside it."""
        for path in (self.path, self.curve, self.progress):
            path.unlink(missing_ok=True)


def _interval() -> float:
    text = os.environ.get(INTERVAL, "30")
    try:
        return float(text)
    except ValueError:
        raise InputError(f"the environment variable {INTERVAL} should be a number of seconds, got {text!r}") from None


def _difference(then: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Describe what differs between two fingerprints; an empty text if they are equal."""
    changes = []
    for name in sorted(then.keys() | now.keys()):
        old, new = then.get(name), now.get(name)
        if old != new:
            short = all(value is not None and len(value) <= LONGEST_VALUE for value in (old, new))
            changes.append(f"{name} was {old}, is {new}" if short else f"{name} has changed")
    if len(changes) > MOST_DIFFERENCES:
        changes[MOST_DIFFERENCES - 1 :] = [f"and {len(changes) - MOST_DIFFERENCES + 1} more"]
    return ", ".join(changes)
