"""Tiny data in the layout of CIFAR-10's Python version, made in the test, and archives of any files."""

import hashlib
import io
import pickle
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classifier.data.registry import DATA_SETS, DataSet, File

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


def register(monkeypatch: pytest.MonkeyPatch, name: str, files: Mapping[str, bytes], places: tuple[str, ...] = ()) -> None:
    """Make these files, by their paths in data/raw, a data set of the registry."""
    entries = tuple(File(path, len(content), hashlib.sha256(content).hexdigest()) for path, content in files.items())
    monkeypatch.setitem(DATA_SETS, name, DataSet(entries, places, (32, 32, 3)))


def tiny_cifar10(folder: Path, monkeypatch: pytest.MonkeyPatch, batches: dict[str, Any] | None = None) -> dict[str, bytes]:
    """Write batches to a folder, make them the registry's CIFAR-10, and have torchvision's reader accept them."""
    from torchvision.datasets import CIFAR10

    contents = {name: pickle.dumps(values, protocol=2) for name, values in (batches or cifar10_batches()).items()}
    files = {f"{CIFAR10.base_folder}/{name}": content for name, content in contents.items()}
    write(folder, files)
    register(monkeypatch, "cifar10", files)
    md5 = {name: hashlib.md5(content, usedforsecurity=False).hexdigest() for name, content in contents.items()}
    monkeypatch.setattr(
        CIFAR10, "train_list", [[f"data_batch_{number}", md5[f"data_batch_{number}"]] for number in range(1, 6)]
    )
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", md5["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": md5["batches.meta"]})
    return files


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
