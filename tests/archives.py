"""Tiny data in the layout of CIFAR-10's Python version, made in the test, and archives of any files."""

import hashlib
import io
import pickle
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from classifier.data.registry import DATA_SETS, DataSet, File

if TYPE_CHECKING:
    from torchvision.datasets import CIFAR10

CLASS_NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def batch(images_per_class: int, seed: int) -> dict[str, Any]:
    """One batch: rows of 3,072 bytes, the planes of an image one after another, and their labels."""
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.repeat(np.arange(10), images_per_class))
    data = generator.integers(256, size=(len(labels), 3072), dtype=np.uint8)
    return {"data": data, "labels": labels.tolist(), "batch_label": "a batch", "filenames": ["x.png"] * len(labels)}


def cifar10_batches(images_per_class: int = 2) -> dict[str, Any]:
    """The content of the whole data set by the names of its files."""
    batches = {f"data_batch_{number}": batch(images_per_class, number) for number in range(1, 6)}
    return batches | {"test_batch": batch(images_per_class, 6), "batches.meta": {"label_names": CLASS_NAMES}}


def cifar100_batches(images_per_class: int = 2) -> dict[str, Any]:
    """The content of CIFAR-100 by the names of its files; there are half as many test images."""
    generator = np.random.default_rng(0)
    names = {"fine_label_names": [f"fine {number}" for number in range(100)], "coarse_label_names": ["coarse"] * 20}
    batches: dict[str, Any] = {"meta": names}
    for name, count in {"train": images_per_class, "test": images_per_class // 2}.items():
        fine = generator.permutation(np.repeat(np.arange(100), count))
        data = generator.integers(256, size=(len(fine), 3072), dtype=np.uint8)
        batches[name] = {"data": data, "fine_labels": fine.tolist(), "coarse_labels": (fine // 5).tolist()}
    return batches


def pickled(batches: Mapping[str, Any]) -> dict[str, bytes]:
    """The files of a data set of the CIFAR kind."""
    return {name: pickle.dumps(values, protocol=2) for name, values in batches.items()}


def mnist_arrays(images: int = 100) -> dict[str, NDArray[np.uint8]]:
    """The arrays of a small MNIST by the names of their files; there are half as many test images."""
    generator = np.random.default_rng(0)
    arrays = {}
    for split, count in {"train": images, "t10k": images // 2}.items():
        arrays[f"{split}-images-idx3-ubyte"] = generator.integers(256, size=(count, 28, 28), dtype=np.uint8)
        arrays[f"{split}-labels-idx1-ubyte"] = generator.permutation(np.arange(count) % 10).astype(np.uint8)
    return arrays


def register(monkeypatch: pytest.MonkeyPatch, name: str, files: Mapping[str, bytes], places: tuple[str, ...] = ()) -> None:
    """Make these files, by their paths in data/raw, those of a data set of the registry."""
    entries = tuple(File(path, len(content), hashlib.sha256(content).hexdigest()) for path, content in files.items())
    monkeypatch.setitem(DATA_SETS, name, DataSet(entries, places, DATA_SETS[name].image_shape))


def tiny_cifar10(folder: Path, monkeypatch: pytest.MonkeyPatch, batches: dict[str, Any] | None = None) -> dict[str, bytes]:
    """Write batches to a folder, make them the registry's CIFAR-10, and have torchvision's reader accept them."""
    from torchvision.datasets import CIFAR10

    contents = pickled(batches or cifar10_batches())
    files = {f"{CIFAR10.base_folder}/{name}": content for name, content in contents.items()}
    write(folder, files)
    register(monkeypatch, "cifar10", files)
    accept(monkeypatch, CIFAR10, contents)
    return files


def accept(monkeypatch: pytest.MonkeyPatch, reader: "type[CIFAR10]", contents: Mapping[str, bytes]) -> None:
    """Have one of torchvision's readers of CIFAR-10 and CIFAR-100 accept these files."""
    md5 = {name: hashlib.md5(content, usedforsecurity=False).hexdigest() for name, content in contents.items()}
    for files in ("train_list", "test_list"):
        monkeypatch.setattr(reader, files, [[name, md5[name]] for name, _ in getattr(reader, files)])
    monkeypatch.setattr(reader, "meta", reader.meta | {"md5": md5[reader.meta["filename"]]})


def idx(array: NDArray[np.uint8]) -> bytes:
    """The content of a file in the format of MNIST: its type, the sizes of its axes, its bytes."""
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, dtype=">i4").tobytes() + array.tobytes()


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files below a folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def tar(files: Mapping[str, bytes], mode: str = "w:gz", extra: tuple[tarfile.TarInfo, ...] = ()) -> bytes:
    """Pack files, and before them members without content, into a tar archive."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
        for member in extra:
            archive.addfile(member)
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def zipped(files: Mapping[str, bytes]) -> bytes:
    """Pack files into a zip archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()
