"""Readers: the verified files of each data set as images and labels."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from classifier.data.partition import stratify
from classifier.data.split import Split


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
    from torchvision.datasets import CIFAR10  # 3.4 s, and no other data set needs it

    parts = [CIFAR10(folder, train=True), CIFAR10(folder, train=False)]
    train, test = (Split(np.ascontiguousarray(part.data), np.array(part.targets, dtype=np.int64)) for part in parts)
    return Images(train, test, tuple(parts[0].classes))


def read_digits(folder: Path) -> Images:
    """Read scikit-learn's digits: 1,797 images of 8x8 grey pixels, of which a stratified fifth is held out for testing."""
    table = np.loadtxt(folder / "digits.csv", delimiter=",")
    images = np.rint(table[:, :-1] * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8, 1)
    train, test = stratify(Split(images, table[:, -1].astype(np.int64)), 0.2, seed=0)
    return Images(train, test, tuple("0123456789"))


READERS: dict[str, Callable[[Path], Images]] = {"cifar10": read_cifar10, "digits": read_digits}
