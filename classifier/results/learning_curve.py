"""The learning curve: what came of each epoch of a training."""

import csv
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from classifier.results.table import write_csv
from classifier.runtime.files import read_output


@dataclass(frozen=True)
class Epoch:
    """One row of the learning curve.

    Losses are mean cross-entropies in nats, accuracies shares between 0 and 1. Those of the training split are averages over
    the epoch's steps, on augmented images, against smoothed labels and while the weights change; those of validation are
    taken after the epoch.
    The learning rate is that of the epoch's last step.
    """

    epoch: int
    train_loss: float
    validation_loss: float
    train_accuracy: float
    validation_accuracy: float
    learning_rate: float


def best_epoch(epochs: Sequence[Epoch]) -> Epoch:
    """Return the epoch of the highest validation accuracy; of equals, the one of the lowest validation loss."""
    return max(epochs, key=lambda epoch: (epoch.validation_accuracy, -epoch.validation_loss))


def save_curve(epochs: Sequence[Epoch], path: Path) -> None:
    """Write a learning curve as CSV, one row an epoch."""
    write_csv(path, [field.name for field in dataclasses.fields(Epoch)], map(dataclasses.astuple, epochs))


def load_curve(path: Path) -> list[Epoch]:
    """Read what `save_curve` wrote, one epoch or more; a damaged file raises InputError."""
    with read_output(path, "train"), path.open(newline="", encoding="utf-8") as file:
        epochs = [
            Epoch(int(row["epoch"]), *(float(row[field.name]) for field in dataclasses.fields(Epoch)[1:]))
            for row in csv.DictReader(file)
        ]
        if not epochs:
            raise ValueError("it holds no epoch")
        return epochs
