"""Checkpoints: the state of a training under way, kept in a file from which the same training goes on."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from classifier.networks.tensor_file import load_tensors, save_tensors
from classifier.runtime.console import log

LONGEST_VALUE = 40  # characters of a value that is told; of a longer one (a checksum) it is only said that it changed


def fingerprint(settings: Mapping[str, Any], files: Mapping[str, Path]) -> dict[str, str]:
    """Return all that the bytes of a training depend on, by name: settings, and the SHA-256 of files."""
    marks = {name: str(value) for name, value in settings.items()}
    for name, path in files.items():
        with path.open("rb") as file:
            marks[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return marks


class Checkpoint:
    """The checkpoint of one training.

    Parameters
    ----------
    path
        Of the file.
    marks
        The fingerprint of the training; a checkpoint of another one is not used.
    """

    def __init__(self, path: Path, marks: Mapping[str, str]) -> None:
        self.path = path
        self.marks = dict(marks)

    def load(self) -> dict[str, Any] | None:
        """Return the state last saved by the same training, or None.

        When there is a checkpoint that cannot be used, a line says why, and a damaged one is set aside.
        """
        try:
            saved = load_tensors(self.path)
            then, state = saved["marks"], saved["state"]
        except FileNotFoundError:
            return None
        except Exception:  # damaged bytes raise a dozen kinds
            aside = self.path.replace(self.path.with_name(f"{self.path.name}.damaged"))
            log(f"train: {self.path} is damaged, set aside as {aside.name}; starting over")
            return None
        if difference := _difference(then, self.marks):
            log(f"train: {self.path} is of another training ({difference}); starting over")
            return None
        return state  # type: ignore[no-any-return]

    def save(self, state: Mapping[str, Any]) -> None:
        """Replace the checkpoint by one of this state, tensors and plain values, whole or not at all."""
        save_tensors({"marks": self.marks, "state": state}, self.path)

    def remove(self) -> None:
        """Remove the checkpoint, if there is one."""
        self.path.unlink(missing_ok=True)


def _difference(then: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Say in words what differs between two fingerprints; nothing if they are the same."""
    changes = []
    for name in sorted(then.keys() | now.keys()):
        old, new = then.get(name), now.get(name)
        if old != new:
            short = all(value is not None and len(value) <= LONGEST_VALUE for value in (old, new))
            changes.append(f"{name} was {old}, is {new}" if short else f"{name} has changed")
    return ", ".join(changes)
