"""Split and DatasetInfo: what preprocess writes, saved and loaded."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classifier.runtime.files import atomic_write, read_output


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
class DatasetInfo:
    """What is known of a data set besides its images.

    class_names
        One name a class, in the order of the labels.
    mean, std
        Of each channel of the training images, in units of the pixel's full range (0 to 1).
    """

    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]


def save_split(split: Split, path: Path) -> None:
    """Write a split to an .npz file, whole or not at all; the same split gives the same bytes."""
    with atomic_write(path) as temporary:
        np.savez(temporary, images=split.images, labels=split.labels)


def load_split(path: Path) -> Split:
    """Read a split from the file that `save_split` wrote; a damaged one raises InputError."""
    with read_output(path, "preprocess"), np.load(path, allow_pickle=False) as arrays:
        return Split(arrays["images"], arrays["labels"])


def save_dataset_info(description: DatasetInfo, path: Path) -> None:
    """Write the description of a data set as JSON."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(asdict(description), indent=2) + "\n", encoding="utf-8")


def load_dataset_info(path: Path) -> DatasetInfo:
    """Read the description that `save_dataset_info` wrote; a damaged one raises InputError."""
    with read_output(path, "preprocess"):
        return DatasetInfo(**{key: tuple(values) for key, values in json.loads(path.read_text(encoding="utf-8")).items()})
