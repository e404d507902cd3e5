import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from classifier.data.partition import channel_statistics, stratify
from classifier.data.readers import Images, read_cifar10, read_digits
from classifier.data.sources import fetch
from classifier.data.split import Split, load_split, save_split
from classifier.runtime.errors import InputError
from tests.archives import CLASS_NAMES, cifar10_batches, tiny_cifar10


def labelled(labels: list[int]) -> Split:
    """Images whose pixels tell their place."""
    images = np.arange(len(labels), dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), dtype=np.uint8)
    return Split(images, np.array(labels, dtype=np.int64))


def test_cifar10_is_read_in_the_order_of_its_batches_with_channels_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = cifar10_batches()
    tiny_cifar10(tmp_path, monkeypatch, batches)
    images = read_cifar10(tmp_path)
    assert images.class_names == tuple(CLASS_NAMES)
    assert images.train.images.shape == (100, 32, 32, 3)
    assert images.train.images.dtype == np.uint8
    assert images.train.labels.dtype == np.int64
    assert images.test.images.shape == (20, 32, 32, 3)
    second = batches["data_batch_2"]
    assert images.train.labels[20:40].tolist() == second["labels"]
    # The 5th image of batch 2, row 3, column 7: red, green and blue lie 1,024 bytes apart.
    assert (
        images.train.images[24, 3, 7].tolist() == second["data"][4, [3 * 32 + 7, 1024 + 3 * 32 + 7, 2048 + 3 * 32 + 7]].tolist()
    )


def test_digits_are_grey_images_of_the_full_range_with_a_stratified_test_split(tmp_path: Path) -> None:
    fetch("digits", [], tmp_path, tmp_path)
    images = read_digits(tmp_path)
    assert images.train.images.shape == (1437, 8, 8, 1)
    assert images.test.images.shape == (360, 8, 8, 1)
    assert (images.train.images.min(), images.train.images.max()) == (0, 255)
    assert np.bincount(images.test.labels).min() >= 34


@pytest.mark.parametrize("labels", [[0, 3], [-1, 0], [0], [0, 1, 2]])
def test_images_without_a_label_or_with_a_label_that_has_no_name_are_refused(labels: list[int]) -> None:
    right = labelled([0, 1])
    with pytest.raises(ValueError, match="classes"):
        Images(right, Split(right.images, np.array(labels)), ("a", "b", "c"))


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


def test_a_channel_that_does_not_vary_can_be_divided_by_its_deviation() -> None:
    mean, std = channel_statistics(np.full((2, 3, 3, 1), 51, dtype=np.uint8))
    assert mean == pytest.approx((0.2,))
    assert std == (1.0,)


def test_a_split_comes_back_from_its_file_and_gives_the_same_bytes(tmp_path: Path) -> None:
    split = labelled([0, 1, 2])
    save_split(split, tmp_path / "a.npz")
    save_split(split, tmp_path / "b.npz")
    loaded = load_split(tmp_path / "a.npz")
    assert np.array_equal(loaded.images, split.images)
    assert np.array_equal(loaded.labels, split.labels)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize("keep", [0, 10, 200, -20])
def test_a_damaged_split_says_which_stage_to_run(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "train.npz"
    save_split(labelled([0, 1, 2]), path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"train\.npz: damaged .*dvc repro --force preprocess"):
        load_split(path)
