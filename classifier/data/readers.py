"""Readers: the archive of each data set as images and labels."""

import io
import pickle
import tarfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.data.partition import stratify
from classifier.data.split import Split
from classifier.runtime.errors import InputError

TRAIN_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST_BATCH = "test_batch"
META = "batches.meta"
LARGEST_BATCH = 2**26  # bytes of a file in the archive, which has twice the size of the real ones


@dataclass(frozen=True)
class Archive:
    """All that the archive of a data set holds."""

    train: Split
    test: Split
    class_names: tuple[str, ...]


def read_cifar10(path: Path) -> Archive:
    """Read CIFAR-10's "python version", a gzipped tar of pickles (https://www.cs.toronto.edu/~kriz/cifar.html).

    Nothing is unpacked to disk, links are not followed, and of the pickles only arrays and plain values are admitted.

    Raises
    ------
    InputError
        When the archive is not laid out like CIFAR-10's.
    """
    wanted = {*TRAIN_BATCHES, TEST_BATCH, META}
    batches: dict[str, Any] = {}
    with _archive_of("CIFAR-10's python version", path):
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                if name not in wanted or not member.isfile():
                    continue
                if member.size > LARGEST_BATCH:
                    raise ValueError(f"{name} in it has {member.size:,} bytes, more than {LARGEST_BATCH:,}")
                content = archive.extractfile(member)
                assert content  # noqa: S101  # that of a regular file
                batches[name] = _PlainUnpickler(io.BytesIO(content.read()), encoding="latin1").load()
        if missing := sorted(wanted - batches.keys()):
            raise ValueError(f"it lacks {', '.join(missing)}")
        class_names = tuple(str(name) for name in batches[META]["label_names"])
        train = _cifar10_split([batches[name] for name in TRAIN_BATCHES])
        return _checked(Archive(train, _cifar10_split([batches[TEST_BATCH]]), class_names))


def _cifar10_split(batches: Sequence[dict[str, Any]]) -> Split:
    planes = np.concatenate([np.asarray(batch["data"]) for batch in batches])
    if planes.dtype != np.uint8:
        raise ValueError(f"its pixels are {planes.dtype}, not uint8")
    labels = np.concatenate([_whole_numbers(batch["labels"]) for batch in batches])
    return Split(np.ascontiguousarray(planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)), labels)


def _whole_numbers(values: Any) -> NDArray[np.int64]:
    """Return labels as int64; those with a fraction, or that are no numbers, raise ValueError or TypeError."""
    numbers = np.asarray(values)
    whole = numbers.astype(np.int64)
    if not np.array_equal(whole, numbers):
        raise ValueError("its labels are not whole numbers")
    return whole


def _checked(archive: Archive) -> Archive:
    """Return an archive in which every image has a label, and every label a class name; others raise ValueError."""
    classes = len(archive.class_names)
    if classes < 2 or len(set(archive.class_names)) < classes:
        raise ValueError(f"its class names are {', '.join(archive.class_names) or 'missing'}")
    for name, split in {"training": archive.train, "test": archive.test}.items():
        if not len(split) or len(split.images) != len(split):
            raise ValueError(f"it holds {len(split.images)} {name} images and {len(split)} labels")
        if split.labels.min() < 0 or split.labels.max() >= classes:
            raise ValueError(f"its {name} labels go from {split.labels.min()} to {split.labels.max()}, of {classes} classes")
    return archive


@contextmanager
def _archive_of(what: str, path: Path) -> Iterator[None]:
    """Turn whatever goes wrong while an archive is read, which damaged bytes do in a dozen ways, into an InputError."""
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.strerror:
            raise
        reason = " ".join(f"{type(error).__name__}: {error}".removeprefix("ValueError: ").split())
        raise InputError(f"{path}: not an archive of {what}: {reason}") from None


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
            case "__builtin__", "bytes":  # how protocol 2 writes empty ones
                return bytes
        raise pickle.UnpicklingError(f"its pickles hold {module}.{name}, which is not plain data")


def read_digits(path: Path) -> Archive:
    """Read scikit-learn's digits: 1,797 images of 8x8 grey pixels, with a stratified fifth of them held out for testing.

    Raises
    ------
    InputError
        When the file does not hold rows of 64 pixels (0 to 16) and a label.
    """
    with _archive_of("scikit-learn's digits", path):
        with warnings.catch_warnings(action="error"):  # of an empty file NumPy only warns
            table = np.loadtxt(path, delimiter=",", ndmin=2).reshape(-1, 65)
        pixels = table[:, :-1]
        if not ((pixels >= 0) & (pixels <= 16)).all():
            raise ValueError("its pixels are not all between 0 and 16")
        images = np.rint(pixels * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8, 1)
        train, test = stratify(Split(images, _whole_numbers(table[:, -1])), 0.2, seed=0)
        return _checked(Archive(train, test, tuple("0123456789")))


READERS: dict[str, Callable[[Path], Archive]] = {"cifar10": read_cifar10, "digits": read_digits}
