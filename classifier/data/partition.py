"""Partition: stratified division into splits, and statistics of the training split."""

import math

import numpy as np
from numpy.typing import NDArray

from classifier.data.split import Split
from classifier.runtime.errors import InputError


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
    means, deviations = [], []
    for channel in np.moveaxis(images, -1, 0):
        counts = np.bincount(channel.ravel(), minlength=256).tolist()
        pixels = sum(counts)
        total = sum(value * count for value, count in enumerate(counts))
        squares = sum(value * value * count for value, count in enumerate(counts))
        means.append(total / (255 * pixels))
        deviations.append(math.sqrt((pixels * squares - total**2) / (255 * pixels) ** 2))
    return tuple(means), tuple(deviation or 1.0 for deviation in deviations)
