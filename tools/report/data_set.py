"""The data set: images by class and split, a few of each class, and some as augmentation shows them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from classifier.data.split import Split
from classifier.params import AugmentationParams
from tools.report.pictures import Album, Key
from tools.report.revision import Line, Revision
from tools.report.splits import Part, find_split, split_key

PARTS: tuple[Part, ...] = ("train", "validation", "test")
SAMPLES, ALL_SAMPLES = 3, 100  # images of a class, and of all together, if there are not too many classes
AUGMENTED = 8


@dataclass(frozen=True)
class DataSet:
    """What the report shows of a data set.

    names
        Of the rows that were trained on it.
    images
        By split: int64 [classes]; None where neither images nor predictions are here.
    totals
        Images of each split, as far as they are known.
    samples
        Training images of each class; empty where the split is not here.
    augmented
        A training image, and the same as the network saw it; empty where nothing is augmented.
    augmentation
        The settings, in words.
    """

    name: str
    names: Sequence[str]
    class_names: tuple[str, ...]
    images: Mapping[Part, NDArray[np.int64] | None]
    totals: Mapping[Part, int | None]
    samples: Sequence[Sequence[Key]]
    augmented: Sequence[tuple[Key, Key]]
    augmentation: str


def data_sets(lines: Sequence[Line], album: Album) -> list[DataSet]:
    """Return the data sets of all rows, and put their pictures into the album."""
    by_split: dict[tuple[str, str], list[Line]] = {}
    for line in lines:
        by_split.setdefault((split_key(line.first, "train"), split_key(line.first, "test")), []).append(line)
    return [_data_set(members, album) for members in by_split.values()]


def _data_set(lines: Sequence[Line], album: Album) -> DataSet:
    first = lines[0].first
    splits: dict[Part, Split | None] = {part: find_split(first, part) for part in PARTS}
    classes = len(first.class_names) or 1 + max((int(split.labels.max()) for split in splits.values() if split), default=-1)
    images: dict[Part, NDArray[np.int64] | None] = {
        part: np.bincount(split.labels, minlength=classes) if split else None for part, split in splits.items()
    }
    if images["test"] is None and len(first.confusions):
        images["test"] = first.confusions.sum(axis=1)
    train, test = first.result.train, first.result.test
    totals: dict[Part, int | None] = {
        "train": train.get("training_images"),
        "validation": train.get("validation_images"),
        "test": test.get("images"),
    }
    samples: list[list[Key]] = []
    augmented: list[tuple[Key, Key]] = []
    augmenting = next((line.first for line in lines if _augmentation(line.first)), None)
    if split := splits["train"]:
        key = split_key(first, "train")
        each = max(1, min(SAMPLES, ALL_SAMPLES // classes))
        indices = [np.flatnonzero(split.labels == label)[:each].tolist() for label in range(classes)]
        samples = [[(key, index) for index in members if album.add((key, index), split.images[index])] for members in indices]
        if augmenting:
            augmented = _augmented(split, [index for members in indices for index in members[:1]], key, augmenting, album)
    names = [line.name for line in lines]
    words = f"{augmenting.name}: {_augmentation(augmenting)}" if augmenting else ""
    class_names = first.class_names or tuple(map(str, range(classes)))
    data_name = str(first.params.get("data.name", "-"))
    return DataSet(data_name, names, class_names, images, totals, samples, augmented, words)


def _augmentation(revision: Revision) -> str:
    """Return the settings of the augmentation in words; empty where there is none."""
    params = revision.params
    parts = []
    if flip := params.get("augmentation.flip"):
        parts.append("alternating flips" if flip == "alternating" else "random flips")
    if padding := params.get("augmentation.crop_padding"):
        parts.append(f"random crops of images padded by {padding} pixels ({params.get('augmentation.crop_fill')})")
    return ", ".join(parts)


def _augmented(split: Split, indices: Sequence[int], key: Key, revision: Revision, album: Album) -> list[tuple[Key, Key]]:
    """Return pairs of pictures: training images, and the same augmented."""
    import torch

    from classifier.training.augmentation import augment

    extra = [index for index in range(len(split)) if index not in indices][:AUGMENTED]
    chosen = [*indices, *extra][:AUGMENTED]
    settings = {name: revision.params[f"augmentation.{name}"] for name in ("flip", "crop_padding", "crop_fill")}
    images = torch.from_numpy(split.images[chosen])
    changed = augment(images, AugmentationParams(**settings), torch.Generator().manual_seed(0)).numpy()
    pairs: list[tuple[Key, Key]] = []
    for index, image in zip(chosen, changed, strict=True):
        before, after = (key, index), ("augmented", key, index)
        if album.add(before, split.images[index]) and album.add(after, image):
            pairs.append((before, after))
    return pairs
