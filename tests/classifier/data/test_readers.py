from pathlib import Path

import numpy as np
import pytest

from classifier.data.readers import READERS, Images, read_cifar10, read_cifar100, read_digits
from classifier.data.sources import fetch
from classifier.data.split import Split
from tests.archives import (
    CLASS_NAMES,
    accept,
    cifar10_batches,
    cifar100_batches,
    idx,
    mnist_arrays,
    pickled,
    tiny_cifar10,
    write,
)


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


def test_cifar100_has_its_fine_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import CIFAR100

    batches = cifar100_batches()
    write(tmp_path / "cifar-100-python", pickled(batches))
    accept(monkeypatch, CIFAR100, pickled(batches))
    images = read_cifar100(tmp_path)
    assert images.class_names == tuple(f"fine {number}" for number in range(100))
    assert images.train.images.shape == (200, 32, 32, 3)
    assert images.train.labels.tolist() == batches["train"]["fine_labels"]
    assert images.test.labels.tolist() == batches["test"]["fine_labels"]
    assert images.test.images[6, 3, 7].tolist() == batches["test"]["data"][6, [103, 1127, 2151]].tolist()


@pytest.mark.parametrize(
    ("name", "folder", "names"),
    [("mnist", "MNIST", "0 1 2 3"), ("fashion_mnist", "FashionMNIST", "T-shirt/top Trouser Pullover Dress")],
)
def test_the_files_of_mnist_are_grey_images_with_one_channel(tmp_path: Path, name: str, folder: str, names: str) -> None:
    arrays = mnist_arrays()
    write(tmp_path / folder / "raw", {path: idx(array) for path, array in arrays.items()})
    images = READERS[name](tmp_path)
    assert images.class_names[:4] == tuple(names.split())
    assert len(images.class_names) == 10
    for split, read in {"train": images.train, "t10k": images.test}.items():
        assert read.images.dtype == np.uint8
        assert read.labels.dtype == np.int64
        assert np.array_equal(read.images, arrays[f"{split}-images-idx3-ubyte"][..., np.newaxis])
        assert np.array_equal(read.labels, arrays[f"{split}-labels-idx1-ubyte"])


def test_digits_are_grey_images_of_the_full_range_with_a_stratified_test_split(tmp_path: Path) -> None:
    fetch("digits", [], tmp_path, tmp_path)
    images = read_digits(tmp_path)
    assert images.train.images.shape == (1437, 8, 8, 1)
    assert images.test.images.shape == (360, 8, 8, 1)
    assert (images.train.images.min(), images.train.images.max()) == (0, 255)
    assert np.bincount(images.test.labels).min() >= 34


@pytest.mark.parametrize("labels", [[0, 3], [-1, 0], [0], [0, 1, 2]])
def test_images_without_a_label_or_with_a_label_that_has_no_name_are_refused(labels: list[int]) -> None:
    images = np.zeros((2, 4, 4, 3), dtype=np.uint8)
    right = Split(images, np.array([0, 1]))
    with pytest.raises(ValueError, match="classes"):
        Images(right, Split(images, np.array(labels)), ("a", "b", "c"))
