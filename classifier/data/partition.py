"""Partition: stratified division into splits, and statistics of the training split."""

import math

import numpy as np
from numpy.typing import NDArray

from classifier.data.split import Split
from classifier.runtime.errors import InputError

COUNTED = 1000  # images at a time, which bounds the memory


def stratify(split: Split, fraction: float, seed: int) -> tuple[Split, Split]:
    """Divide a split into two, in which every class has the same share, both in the order of the original.

    Parameters
    ----------
    fraction
        Share of the second part, between 0 and 1.
    seed
        Of the choice; the same seed gives the same parts.

    Raises
    ------
    InputError
        When a class has too few images to be in both parts.
    """
    from sklearn.model_selection import train_test_split  # 1.5 s, and of the stages only preprocess splits

    try:
        first, second = train_test_split(np.arange(len(split)), test_size=fraction, stratify=split.labels, random_state=seed)
    except ValueError as error:
        raise InputError(f"cannot hold out {fraction:g} of {len(split)} images for validation: {error}") from None
    return split.take(np.sort(first)), split.take(np.sort(second))


def channel_statistics(images: NDArray[np.uint8]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each channel of uint8 images [N, H, W, C], in units of the full range (0 to 1).

    Both are computed in whole numbers, from how often each of the 256 values occurs, and rounded once: every processor
    gives the same last digit. A channel that does not vary gets the standard deviation 1, by which one can divide.
    """
    counts = np.zeros((images.shape[-1], 256), np.int64)
    for start in range(0, len(images), COUNTED):
        count_values(images[start : start + COUNTED], counts)
    return statistics_of(counts)


def count_values(images: NDArray[np.uint8], counts: NDArray[np.int64]) -> None:
    """Add to `counts`, int64 [C, 256], how often each value occurs in each channel of images [..., C]."""
    for channel, values in enumerate(np.moveaxis(images, -1, 0)):
        counts[channel] += np.bincount(values.ravel(), minlength=256)


def statistics_of(counts: NDArray[np.int64]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each channel, as `channel_statistics`, from what `count_values` counted."""
    means, deviations = [], []
    for row in counts.tolist():
        pixels = sum(row)
        total = sum(value * count for value, count in enumerate(row))
        squares = sum(value * value * count for value, count in enumerate(row))
        means.append(total / (255 * pixels))
        deviations.append(math.sqrt((pixels * squares - total**2) / (255 * pixels) ** 2))
    return tuple(means), tuple(deviation or 1.0 for deviation in deviations)
