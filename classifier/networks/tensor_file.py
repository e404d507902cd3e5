"""Tensor files: nested tensors and plain values in one file, with checksums that are verified when it is read."""

import io
import zipfile
from pathlib import Path
from typing import Any

import torch

from classifier.runtime.files import atomic_write


def save_tensors(values: object, path: Path) -> None:
    """Write nested dictionaries and lists of tensors and plain values, whole or not at all.

    The same values give the same bytes, whatever the name of the file, since it is given as an open file.
    """
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        try:
            torch.save(values, file)
        except RuntimeError as error:
            if isinstance(error.__context__, OSError):  # of a full disk, which PyTorch reports as a wrong position in the file
                raise error.__context__ from None
            raise


def load_tensors(path: Path) -> Any:
    """Read what `save_tensors` wrote, onto the CPU. Only tensors and plain values are accepted, so that no code can run.

    Raises
    ------
    Exception
        Of many types, when the file is damaged. PyTorch alone would not notice a wrong bit in a tensor.
    """
    content = io.BytesIO(path.read_bytes())
    with zipfile.ZipFile(content) as archive:
        if damaged := archive.testzip():
            raise ValueError(f"wrong checksum of {damaged}")
    content.seek(0)
    return torch.load(content, map_location="cpu", weights_only=True)
