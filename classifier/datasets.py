"""Data sets: images with their labels, read from the archive of each data set, divided into splits, kept in files."""

import gzip
import io
import pickle
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from classifier.errors import InputError
from classifier.files import reading, replacing


@dataclass(frozen=True)
class Split:
    """Images of one split and what they show.

    images
        uint8 [N, H, W, C], 0 to 255.
    labels
        int64 [N], an index into the class names.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: NDArray[np.int64]) -> "Split":
        """Return the images at these indices."""
        return Split(self.images[indices], self.labels[indices])


@dataclass(frozen=True)
class Archive:
    """All that the archive of a data set holds."""

    train: Split
    test: Split
    class_names: tuple[str, ...]


def read_cifar10(path: Path) -> Archive:
    """Read CIFAR-10's "python version", a gzipped tar of pickles (https://www.cs.toronto.edu/~kriz/cifar.html).

    Nothing is unpacked to disk, and of the pickles only arrays and plain values are admitted.

    Raises
    ------
    InputError
        When the archive is not laid out like CIFAR-10's.
    """
    batches: dict[str, dict[str, Any]] = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isfile() else None
                name = Path(member.name).name
                if content and (name.startswith(("data_batch_", "test_batch")) or name == "batches.meta"):
                    batches[name] = _PlainUnpickler(io.BytesIO(content.read()), encoding="latin1").load()
        return Archive(
            train=_cifar10_split([batches[f"data_batch_{number}"] for number in range(1, 6)]),
            test=_cifar10_split([batches["test_batch"]]),
            class_names=tuple(batches["batches.meta"]["label_names"]),
        )
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, pickle.UnpicklingError, KeyError, ValueError, TypeError) as error:
        raise InputError(f"{path}: not an archive of CIFAR-10's python version: {error}") from None


def _cifar10_split(batches: Sequence[dict[str, Any]]) -> Split:
    planes = np.concatenate([batch["data"] for batch in batches]).reshape(-1, 3, 32, 32)
    labels = np.concatenate([batch["labels"] for batch in batches]).astype(np.int64)
    return Split(np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels)


class _PlainUnpickler(pickle.Unpickler):
    """Admits NumPy arrays and plain values, so that a pickle cannot run code."""

    def find_class(self, module: str, name: str) -> Any:
        match module.replace("numpy.core", "numpy._core"), name:
            case "numpy._core.multiarray", "_reconstruct":
                return np._core.multiarray._reconstruct  # type: ignore[attr-defined]
            case "numpy", "ndarray" | "dtype":
                return getattr(np, name)
            case "_codecs", "encode":
                return lambda text, encoding: text.encode(encoding)
        raise pickle.UnpicklingError(f"its pickles hold {module}.{name}, which is not plain data")


def read_digits(path: Path) -> Archive:
    """Read scikit-learn's digits: 1,797 images of 8x8 grey pixels, with a stratified fifth of them held out for testing.

    Raises
    ------
    InputError
        When the file does not hold rows of 64 pixels (0 to 16) and a label.
    """
    try:
        table = np.loadtxt(path, delimiter=",").reshape(-1, 65)
    except (OSError, EOFError, ValueError) as error:
        raise InputError(f"{path}: not the table of scikit-learn's digits: {error}") from None
    images = np.rint(table[:, :-1] * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8, 1)
    digits = Split(images, table[:, -1].astype(np.int64))
    train, test = stratified(digits, 0.2, seed=0)
    return Archive(train, test, tuple("0123456789"))


READERS: dict[str, Callable[[Path], Archive]] = {"cifar10": read_cifar10, "digits": read_digits}


def stratified(split: Split, fraction: float, seed: int) -> tuple[Split, Split]:
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
    try:
        first, second = train_test_split(np.arange(len(split)), test_size=fraction, stratify=split.labels, random_state=seed)
    except ValueError as error:
        raise InputError(f"cannot hold out {fraction:g} of {len(split)} images for validation: {error}") from None
    return split.take(np.sort(first)), split.take(np.sort(second))


def channel_statistics(images: NDArray[np.uint8]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each channel of uint8 images [N, H, W, C], in units of the full range (0 to 1).

    Counting how often each of the 256 values occurs makes both exact without a copy of the images as floating point. A
    channel that does not vary gets the standard deviation 1, by which one can divide.
    """
    values = np.arange(256) / 255
    shares = [
        np.bincount(images[..., channel].ravel(), minlength=256) / images[..., 0].size for channel in range(images.shape[-1])
    ]
    means = [float(share @ values) for share in shares]
    deviations = [float(np.sqrt(share @ (values - mean) ** 2)) for share, mean in zip(shares, means, strict=True)]
    return tuple(means), tuple(deviation or 1.0 for deviation in deviations)


def save_split(split: Split, path: Path) -> None:
    """Write a split to an .npz file, whole or not at all; the same split gives the same bytes."""
    with replacing(path) as temporary:
        np.savez(temporary, images=split.images, labels=split.labels)


def load_split(path: Path) -> Split:
    """Read a split from the file that `save_split` wrote; a damaged one raises InputError."""
    with reading(path, "preprocess"), np.load(path, allow_pickle=False) as arrays:
        return Split(arrays["images"], arrays["labels"])
