"""Readers: the verified files of each data set as images and labels."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from classifier.data.partition import stratify
from classifier.data.split import Split

if TYPE_CHECKING:
    from torchvision.datasets import CIFAR10, MNIST


@dataclass(frozen=True)
class Images:
    """All images of a data set.

    train, test
        The division that its authors published.
    class_names
        One name a class, in the order of the labels.

    Raises
    ------
    ValueError
        When an image has no label or a label has no class name.
    """

    train: Split
    test: Split
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        for split in (self.train, self.test):
            if len(split.images) != len(split) or not np.isin(split.labels, range(len(self.class_names))).all():
                raise ValueError(f"{len(split.images)} images, labels {np.unique(split.labels)}, classes {self.class_names}")


def read_cifar10(folder: Path) -> Images:
    """Read the Python version of CIFAR-10: 60,000 images of 32x32 pixels with 3 channels in 10 classes."""
    from torchvision.datasets import CIFAR10  # 3.4 s, and the digits do not need it

    return _read_cifar(CIFAR10, folder)


def read_cifar100(folder: Path) -> Images:
    """Read the Python version of CIFAR-100: images as those of CIFAR-10, in its 100 fine classes."""
    from torchvision.datasets import CIFAR100

    return _read_cifar(CIFAR100, folder)


def read_fashion_mnist(folder: Path) -> Images:
    """Read Fashion-MNIST: 70,000 images of 28x28 grey pixels in 10 classes of clothing."""
    from torchvision.datasets import FashionMNIST

    return _read_mnist(FashionMNIST, folder, tuple(FashionMNIST.classes))


def read_mnist(folder: Path) -> Images:
    """Read MNIST: 70,000 handwritten digits of 28x28 grey pixels."""
    from torchvision.datasets import MNIST

    return _read_mnist(MNIST, folder, tuple("0123456789"))


def read_digits(folder: Path) -> Images:
    """Read scikit-learn's digits: 1,797 images of 8x8 grey pixels, of which a stratified fifth is held out for testing."""
    table = np.loadtxt(folder / "digits.csv", delimiter=",")
    images = np.rint(table[:, :-1] * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8, 1)
    train, test = stratify(Split(images, table[:, -1].astype(np.int64)), 0.2, seed=0)
    return Images(train, test, tuple("0123456789"))


def _read_cifar(reader: "type[CIFAR10]", folder: Path) -> Images:
    parts = [reader(folder, train=True), reader(folder, train=False)]
    train, test = (Split(np.ascontiguousarray(part.data), np.array(part.targets, dtype=np.int64)) for part in parts)
    return Images(train, test, tuple(parts[0].classes))


def _read_mnist(reader: "type[MNIST]", folder: Path, class_names: tuple[str, ...]) -> Images:
    parts = [reader(folder, train=True), reader(folder, train=False)]
    train, test = (Split(part.data.numpy()[..., np.newaxis], part.targets.numpy()) for part in parts)
    return Images(train, test, class_names)


READERS: dict[str, Callable[[Path], Images]] = {
    "cifar10": read_cifar10,
    "cifar100": read_cifar100,
    "digits": read_digits,
    "fashion_mnist": read_fashion_mnist,
    "mnist": read_mnist,
}
