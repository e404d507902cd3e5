"""Tensor files: tensors and plain values, written whole or not at all, and read only when every bit is right."""

import io
import zipfile
from pathlib import Path
from typing import Any

import torch

from classifier.runtime.files import atomic_write


def save_tensors(values: object, path: Path) -> None:
    """Write nested dictionaries and lists of tensors and plain values; the same values give the same bytes, under any name."""
    content = io.BytesIO()
    torch.save(values, content)
    with atomic_write(path) as temporary:
        temporary.write_bytes(content.getbuffer())


def load_tensors(path: Path) -> Any:
    """Read what `save_tensors` wrote, on the CPU; nothing but tensors and plain values is admitted.

    Raises
    ------
    Exception
        Of a dozen kinds, when the file is damaged. PyTorch alone would not notice a wrong bit in a tensor.
    """
    content = io.BytesIO(path.read_bytes())
    with zipfile.ZipFile(content) as archive:
        if damaged := archive.testzip():
            raise ValueError(f"{damaged} in it has a wrong checksum")
    content.seek(0)
    return torch.load(content, map_location="cpu", weights_only=True)
