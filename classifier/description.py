"""The description of a data set: what is known of it besides its images."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from classifier.files import reading, write_json


@dataclass(frozen=True)
class Description:
    """What is known of a data set besides its images.

    class_names
        One name a class, in the order of the labels.
    mean, std
        Of each channel of the training images, in units of the pixel's full range (0 to 1).
    """

    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]


def save_description(description: Description, path: Path) -> None:
    """Write the description of a data set as JSON."""
    write_json(path, asdict(description))


def load_description(path: Path) -> Description:
    """Read the description that `save_description` wrote; a damaged one raises InputError."""
    with reading(path, "preprocess"):
        return Description(**{key: tuple(values) for key, values in json.loads(path.read_text(encoding="utf-8")).items()})
