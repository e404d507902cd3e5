import math
from fractions import Fraction

import numpy as np
import pytest

from classifier.data.partition import channel_statistics, stratify
from classifier.data.split import Split
from classifier.runtime.errors import InputError


def labelled(labels: list[int]) -> Split:
    """Images whose pixels tell their place."""
    images = np.arange(len(labels), dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), dtype=np.uint8)
    return Split(images, np.array(labels, dtype=np.int64))


def test_a_stratified_split_takes_the_same_share_of_every_class_and_every_image_once() -> None:
    split = labelled([0] * 100 + [1] * 50 + [2] * 10)
    first, second = stratify(split, 0.1, seed=3)
    assert np.bincount(second.labels).tolist() == [10, 5, 1]
    places = [part.images[:, 0, 0, 0].tolist() for part in (first, second)]
    assert sorted(places[0] + places[1]) == list(range(160))
    assert places[0] == sorted(places[0])
    assert places[1] == sorted(places[1])


def test_the_seed_decides_the_split() -> None:
    split = labelled([0, 1] * 50)
    one, same, other = (stratify(split, 0.2, seed)[1].images for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_a_class_of_one_image_cannot_be_split() -> None:
    with pytest.raises(InputError, match=r"cannot hold out 0\.5 of 5 images"):
        stratify(labelled([0, 0, 1, 1, 2]), 0.5, seed=0)


def test_statistics_of_the_channels_are_those_of_the_pixels() -> None:
    images = np.random.default_rng(0).integers(256, size=(20, 5, 7, 3), dtype=np.uint8)
    mean, std = channel_statistics(images)
    np.testing.assert_allclose(mean, (images / 255).mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(std, (images / 255).std(axis=(0, 1, 2)))


def test_statistics_are_rounded_once_so_that_every_processor_gives_the_same() -> None:
    images = np.random.default_rng(1).integers(256, size=(50, 8, 8, 1), dtype=np.uint8)
    mean, std = channel_statistics(images)
    pixels = [Fraction(int(value), 255) for value in images.ravel()]
    exact = sum(pixels) / len(pixels)
    assert mean == (float(exact),)
    assert std == (math.sqrt(sum((pixel - exact) ** 2 for pixel in pixels) / len(pixels)),)


def test_statistics_need_little_memory_beside_the_images(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.random.default_rng(2).integers(256, size=(25, 5, 7, 3), dtype=np.uint8)
    whole = channel_statistics(images)
    monkeypatch.setattr("classifier.data.partition.COUNTED", 10)
    assert channel_statistics(images) == whole


def test_a_channel_that_does_not_vary_can_be_divided_by_its_deviation() -> None:
    mean, std = channel_statistics(np.full((2, 3, 3, 1), 51, dtype=np.uint8))
    assert mean == pytest.approx((0.2,))
    assert std == (1.0,)
