"""Split and DatasetInfo: what preprocess writes, saved and loaded."""

import json
import math
import shutil
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from classifier.runtime.files import atomic_write, read_output

if TYPE_CHECKING:
    from classifier.params import Fit

MAPPED_FROM = 2**28  # bytes of images from which they are memory-mapped instead of read


@dataclass(frozen=True)
class Split:
    """The images of one split and their labels.

    images
        uint8 [N, H, W, C], 0 to 255.
    labels
        int64 [N], indices into the class names.
    files
        Name of the file that each image comes from, where it comes from a folder of images; otherwise empty.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    files: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: NDArray[np.int64]) -> "Split":
        """Return the images at these indices, int64 [M], with their labels."""
        files = tuple(self.files[index] for index in indices) if self.files else ()
        return Split(self.images[indices], self.labels[indices], files)


@dataclass(frozen=True)
class DatasetInfo:
    """What is known about a data set besides its images.

    class_names
        One name per class, in the order of the labels.
    mean, std
        Of each channel of the training images, in units of the full range of a pixel (0 to 1).
    fit
        How images of other shapes are made square.
    """

    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fit: "Fit" = "crop"


def save_split(split: Split, path: Path) -> None:
    """Write a split as a safetensors file with a checksum, whole or not at all; the same split gives the same bytes."""
    images = np.ascontiguousarray(split.images)
    with atomic_write(path) as temporary:
        # One key of metadata: safetensors writes several of them in random order.
        arrays: dict[str, NDArray[Any]] = {"images": images, "labels": split.labels}
        if split.files:
            arrays["files"] = _as_bytes(split.files)
        save_file(arrays, temporary, metadata={"crc32": _split_checksum(split)})


class SplitWriter:
    """Writes a split image by image, for more images than memory, as the same bytes that `save_split` writes.

    A context manager: the file is complete when it ends without an error.

    Parameters
    ----------
    path
        Of the file.
    image_shape
        Height, width and channels.
    labels, files
        Those that are expected. The images that `append` gets may be fewer, which costs a copy of the file at the end.
    """

    def __init__(self, path: Path, image_shape: tuple[int, int, int], labels: NDArray[np.int64], files: Sequence[str]) -> None:
        self.path = path
        self.image_shape = image_shape
        self.labels: list[int] = []
        self.files: list[str] = []
        self.start = len(_front(image_shape, labels, files, ""))
        self.output: BinaryIO = path.open("wb")
        self.output.seek(self.start)

    def append(self, image: NDArray[np.uint8], label: int, file: str) -> None:
        """Add an image, uint8 [H, W, C]."""
        self.output.write(image.tobytes())
        self.labels.append(label)
        self.files.append(file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.output.close()
        if error is None:
            self._finish()

    def _finish(self) -> None:
        labels = np.array(self.labels, dtype=np.int64)
        shape = (len(labels), *self.image_shape)
        images: NDArray[np.uint8] = np.empty(shape, np.uint8)
        if images.size:
            images = np.memmap(self.path, np.uint8, "r", self.start, shape)
        front = _front(self.image_shape, labels, self.files, _split_checksum(Split(images, labels, tuple(self.files))))
        del images  # Windows replaces no file that is mapped
        if len(front) != self.start:
            moved = self.path.with_name(f"{self.path.name}.moved")
            with self.path.open("rb") as old, moved.open("wb") as new:
                old.seek(self.start)
                new.seek(len(front))
                shutil.copyfileobj(old, new, 2**20)
            moved.replace(self.path)
        with self.path.open("r+b") as file:
            file.write(front)


def _front(image_shape: tuple[int, int, int], labels: NDArray[np.int64], files: Sequence[str], checksum: str) -> bytes:
    """Return what stands in a safetensors file before the pixels: the header, padded to 8 bytes, labels and file names."""
    content = {"labels": labels.tobytes()} | ({"files": _as_bytes(files).tobytes()} if files else {})
    sizes = {name: len(data) for name, data in content.items()} | {"images": len(labels) * math.prod(image_shape)}
    shapes = {"labels": [len(labels)], "files": [sizes.get("files", 0)], "images": [len(labels), *image_shape]}
    header: dict[str, Any] = {"__metadata__": {"crc32": checksum or "0" * 8}}
    offset = 0
    for name, size in sizes.items():
        kind = "I64" if name == "labels" else "U8"
        header[name] = {"dtype": kind, "shape": shapes[name], "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(content.values())


def _as_bytes(files: Sequence[str]) -> NDArray[np.uint8]:
    return np.frombuffer(json.dumps(list(files)).encode("ascii"), np.uint8)


def load_split(path: Path) -> Split:
    """Read the split that `save_split` wrote.

    Images of 256 MiB and more are memory-mapped, read-only, so that they may be larger than memory.

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
        files = tuple(json.loads(file.get_tensor("files").tobytes())) if "files" in file.keys() else ()  # noqa: SIM118
        split = Split(images, file.get_tensor("labels"), files)
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
        tuples = {key: tuple(value) for key, value in values.items() if key != "fit"}
        return DatasetInfo(**tuples, fit=values["fit"])


def _split_checksum(split: Split) -> str:
    """Return the CRC-32 of all arrays with their shapes and types, which takes 0.03 s for CIFAR-10."""
    checksum = 0
    arrays: list[NDArray[Any]] = [split.images, split.labels, *([_as_bytes(split.files)] if split.files else [])]
    for array in arrays:
        checksum = zlib.crc32(f"{array.dtype} {array.shape}".encode(), checksum)
        checksum = zlib.crc32(np.ascontiguousarray(array).data, checksum)
    return f"{checksum:08x}"


def _json_checksum(values: Any) -> str:
    return f"{zlib.crc32(json.dumps(values).encode()):08x}"
