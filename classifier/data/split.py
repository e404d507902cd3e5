"""Split and DatasetInfo: what preprocess writes, saved and loaded."""

import json
import math
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from classifier.runtime.files import atomic_write, read_output

MAPPED_FROM = 2**30  # bytes of images from which they are memory-mapped instead of read


@dataclass(frozen=True)
class Split:
    """The images of one split and their labels.

    images
        uint8 [N, H, W, C], 0 to 255.
    labels
        int64 [N], indices into the class names.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: NDArray[np.int64]) -> "Split":
        """Return the images at these indices, int64 [M], with their labels."""
        return Split(self.images[indices], self.labels[indices])


@dataclass(frozen=True)
class DatasetInfo:
    """What is known about a data set besides its images.

    class_names
        One name per class, in the order of the labels.
    mean, std
        Of each channel of the training images, in units of the full range of a pixel (0 to 1).
    """

    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]


def save_split(split: Split, path: Path) -> None:
    """Write a split as a safetensors file with a checksum, whole or not at all; the same split gives the same bytes."""
    images = np.ascontiguousarray(split.images)
    with atomic_write(path) as temporary:
        # One key of metadata: safetensors writes several of them in random order.
        save_file({"images": images, "labels": split.labels}, temporary, metadata={"crc32": _split_checksum(split)})


def load_split(path: Path) -> Split:
    """Read the split that `save_split` wrote.

    Images of 1 GiB and more are memory-mapped, read-only, so that they may be larger than memory.

    Raises
    ------
    InputError
        When there is no such file, or any of its bytes that matter has changed.
    """
    with read_output(path, "preprocess"), safe_open(path, framework="numpy") as file:
        shape = file.get_slice("images").get_shape()
        size = math.prod(shape)
        if size < MAPPED_FROM:
            images = file.get_tensor("images")
        else:  # They are the last bytes of the file: safetensors sorts arrays by the size of their elements.
            images = np.memmap(path, np.uint8, "r", offset=path.stat().st_size - size, shape=tuple(shape))
        split = Split(images, file.get_tensor("labels"))
        if file.metadata() != {"crc32": _split_checksum(split)}:
            raise ValueError("wrong checksum")
        return split


def save_dataset_info(info: DatasetInfo, path: Path) -> None:
    """Write a DatasetInfo as JSON with a checksum, whole or not at all."""
    values = asdict(info)
    with atomic_write(path) as temporary:
        text = json.dumps(values | {"crc32": _json_checksum(values)}, indent=2)
        temporary.write_text(text + "\n", encoding="utf-8")


def load_dataset_info(path: Path) -> DatasetInfo:
    """Read what `save_dataset_info` wrote; a missing or damaged file raises InputError."""
    with read_output(path, "preprocess"):
        values = json.loads(path.read_text(encoding="utf-8"))
        if values.pop("crc32") != _json_checksum(values):
            raise ValueError("wrong checksum")
        return DatasetInfo(**{key: tuple(value) for key, value in values.items()})


def _split_checksum(split: Split) -> str:
    """Return the CRC-32 of both arrays with their shapes and types, which takes 0.03 s for CIFAR-10."""
    checksum = 0
    for array in (split.images, split.labels):
        checksum = zlib.crc32(f"{array.dtype} {array.shape}".encode(), checksum)
        checksum = zlib.crc32(np.ascontiguousarray(array).data, checksum)
    return f"{checksum:08x}"


def _json_checksum(values: Any) -> str:
    return f"{zlib.crc32(json.dumps(values).encode()):08x}"
