"""Predictions: what a model said of every image of a split, kept in a file."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classifier.runtime.files import atomic_write, read_output


@dataclass(frozen=True)
class Predictions:
    """What a model said of every image of a split.

    labels
        int64 [N], the true classes.
    probabilities
        float64 [N, classes], each row summing to 1.
    class_names
        [classes], in the order of the labels.
    mistakes
        int64 [M], the indices of the images given a wrong class.
    mistaken_images
        uint8 [M, H, W, C], those images.
    """

    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    class_names: NDArray[np.str_]
    mistakes: NDArray[np.int64]
    mistaken_images: NDArray[np.uint8]


def save_predictions(predictions: Predictions, path: Path) -> None:
    """Write predictions to an .npz file, whole or not at all; the same predictions give the same bytes."""
    with atomic_write(path) as temporary:
        np.savez(temporary, **vars(predictions))


def load_predictions(path: Path) -> Predictions:
    """Read what `save_predictions` wrote; a damaged file raises InputError."""
    with read_output(path, "evaluate"), np.load(path, allow_pickle=False) as arrays:
        return Predictions(**arrays)
