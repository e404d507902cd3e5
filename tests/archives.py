"""Tiny archives in the layout of CIFAR-10's python version, made in the test."""

import io
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np

CLASS_NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def batch(images_per_class: int, seed: int) -> dict[str, Any]:
    """One batch: rows of 3,072 bytes, the planes of an image one after another, and their labels."""
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.repeat(np.arange(10), images_per_class))
    data = generator.integers(256, size=(len(labels), 3072), dtype=np.uint8)
    return {"data": data, "labels": labels.tolist(), "batch_label": "a batch", "filenames": ["x.png"] * len(labels)}


def cifar10_batches(images_per_class: int = 2) -> dict[str, Any]:
    """The content of a whole archive by the names of its files."""
    batches = {f"data_batch_{number}": batch(images_per_class, number) for number in range(1, 6)}
    return batches | {"test_batch": batch(images_per_class, 6), "batches.meta": {"label_names": CLASS_NAMES}}


def write_cifar10(path: Path, batches: dict[str, Any]) -> None:
    """Write an archive; bytes are taken as they are, anything else is pickled."""
    with tarfile.open(path, "w:gz") as archive:
        for name, values in batches.items():
            content = values if isinstance(values, bytes) else pickle.dumps(values, protocol=2)
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
