"""Predictions: the probabilities that a model gives to every image of a split, and the images of its mistakes, in files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classifier.runtime.files import atomic_write, read_output

MISTAKES_KEPT = 400  # the most that `plot.mistakes` can ask for


@dataclass(frozen=True)
class Predictions:
    """The predictions of a model for a split, in the order of its images.

    labels
        int64 [N], the true classes.
    probabilities
        float64 [N, classes], each row summing to 1.
    class_names
        [classes], in the order of the labels.
    """

    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    class_names: NDArray[np.str_]


@dataclass(frozen=True)
class Mistakes:
    """The images that were given a wrong class, the most confident prediction first, 400 at most.

    indices
        int64 [M], of the images in their split.
    images
        uint8 [M, H, W, C].
    """

    indices: NDArray[np.int64]
    images: NDArray[np.uint8]


def find_mistakes(predictions: Predictions, images: NDArray[np.uint8]) -> Mistakes:
    """Return the most confident mistakes among the images of the split, uint8 [N, H, W, C]."""
    wrong = np.flatnonzero(predictions.probabilities.argmax(axis=1) != predictions.labels)
    confidence = predictions.probabilities.max(axis=1)[wrong]
    indices = wrong[np.argsort(-confidence, kind="stable")[:MISTAKES_KEPT]]
    return Mistakes(indices, images[indices])


def mistake_rows(predictions: Predictions, files: Sequence[str]) -> list[tuple[int, str, str, str, float]]:
    """Return a row for each wrong prediction, the most confident first, so that its image can be found again.

    Parameters
    ----------
    files
        Name of the file of each image; empty for a data set whose images are not files.

    Returns
    -------
    rows
        Number of the image in its split, file, true class, predicted class, confidence in the predicted class.
    """
    predicted, confidence = predictions.probabilities.argmax(axis=1), predictions.probabilities.max(axis=1)
    wrong = np.flatnonzero(predicted != predictions.labels)
    names = predictions.class_names
    return [
        (
            int(index),
            (files[index] if files[index].isprintable() else ascii(files[index])) if files else "",
            str(names[predictions.labels[index]]),
            str(names[predicted[index]]),
            float(confidence[index]),
        )
        for index in wrong[np.argsort(-confidence[wrong], kind="stable")]
    ]


def save_predictions(predictions: Predictions, path: Path) -> None:
    """Write predictions to an .npz file, whole or not at all; the same predictions give the same bytes.

    Probabilities are rounded to float16, by which the predicted class of an image never changes, and labels stored in as few
    bytes as possible. Nothing is compressed, since the bytes would depend on the version of zlib.
    """
    names = predictions.class_names
    labels = predictions.labels.astype(np.min_scalar_type(len(names)))
    with atomic_write(path) as temporary:
        np.savez(temporary, labels=labels, probabilities=_rounded(predictions.probabilities), class_names=names)


def load_predictions(path: Path) -> Predictions:
    """Read what `save_predictions` wrote, with probabilities that sum to 1 again; a damaged file raises InputError."""
    with read_output(path, "evaluate"), np.load(path, allow_pickle=False) as arrays:
        probabilities = arrays["probabilities"].astype(np.float64)
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        return Predictions(arrays["labels"].astype(np.int64), probabilities, arrays["class_names"])


def save_mistakes(mistakes: Mistakes, path: Path) -> None:
    """Write mistakes to an .npz file, whole or not at all; the same mistakes give the same bytes."""
    with atomic_write(path) as temporary:
        np.savez(temporary, **vars(mistakes))


def load_mistakes(path: Path) -> Mistakes:
    """Read what `save_mistakes` wrote; a damaged file raises InputError."""
    with read_output(path, "evaluate"), np.load(path, allow_pickle=False) as arrays:
        return Mistakes(**arrays)


def _rounded(probabilities: NDArray[np.float64]) -> NDArray[np.float16]:
    """Round to float16; where that makes another class equal to the predicted one, the predicted one is rounded up."""
    rounded = probabilities.astype(np.float16)
    predicted = probabilities.argmax(axis=1)
    tied = np.flatnonzero((rounded == rounded.max(axis=1, keepdims=True)).sum(axis=1) > 1)
    winners = rounded[tied, predicted[tied]]
    rounded[tied, predicted[tied]] = np.nextafter(winners, np.float16(1))
    return rounded
