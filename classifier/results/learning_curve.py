"""The learning curve: loss and accuracy after each epoch of a training run."""

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

    Losses are mean cross-entropies in nats, accuracies shares between 0 and 1. Those of the training split are running means
    over the steps of the epoch: on augmented images, with smoothed labels and class weights, and while the weights change.
    Those of the validation split are measured after the epoch, in the precision of the training. The learning rate is that of
    the last step of the epoch.
    """

    epoch: int
    train_loss: float
    validation_loss: float
    train_accuracy: float
    validation_accuracy: float
    learning_rate: float


def best_epoch(epochs: Sequence[Epoch]) -> Epoch:
    """Return the epoch with the highest validation accuracy; among equals, the one with the lowest validation loss."""
    return max(epochs, key=lambda epoch: (epoch.validation_accuracy, -epoch.validation_loss))


def save_curve(epochs: Sequence[Epoch], path: Path) -> None:
    """Write a learning curve as CSV, one row per epoch."""
    write_csv(path, [field.name for field in dataclasses.fields(Epoch)], map(dataclasses.astuple, epochs))


def load_curve(path: Path) -> list[Epoch]:
    """Read what `save_curve` wrote, one epoch or more; a damaged file raises InputError."""
    with read_output(path, "train"), path.open(newline="", encoding="utf-8") as file:
        epochs = [
            Epoch(int(row["epoch"]), *(float(row[field.name]) for field in dataclasses.fields(Epoch)[1:]))
            for row in csv.DictReader(file)
        ]
        if not epochs:
            raise ValueError("it has no rows")
        return epochs
