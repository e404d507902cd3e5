"""Pictures: the images that the report shows, each once, in one file."""

import base64
import io
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MOST = 400
LONGEST_SIDE = 16_383  # pixels of a WebP file
Key = Hashable


@dataclass(frozen=True)
class Sprite:
    """Pictures side by side in one lossless file.

    places
        Column and row of each picture, by its key.
    side
        Pixels of a picture.
    """

    places: Mapping[Key, tuple[int, int]]
    columns: int
    rows: int
    side: int
    url: str

    @property
    def shown(self) -> int:
        """Pixels of a picture on the page: a multiple of its own, up to 64, so that they stay sharp; 160 at most."""
        return min(self.side * max(1, 64 // self.side), 160)


class Album:
    """The pictures of a report, in the order in which they are left out last; those beyond MOST are not taken."""

    def __init__(self) -> None:
        self.images: dict[Key, NDArray[np.uint8]] = {}

    def add(self, key: Key, image: NDArray[np.uint8]) -> bool:
        """Add an image, uint8 [H, W, C], unless it is there or there are too many; return whether it is there now."""
        if key not in self.images and len(self.images) < MOST:
            self.images[key] = image
        return key in self.images

    def sprite(self, most: int = MOST) -> Sprite | None:
        """Return the first `most` pictures as one; None without any."""
        images = dict(list(self.images.items())[:most])
        if not images:
            return None
        side = max(max(image.shape[:2]) for image in images.values())
        columns = min(int(np.ceil(np.sqrt(len(images)))), LONGEST_SIDE // side)
        images = dict(list(images.items())[: columns * (LONGEST_SIDE // side)])
        rows = -(-len(images) // columns)
        places = {key: (number % columns, number // columns) for number, key in enumerate(images)}
        sheet = Image.new("RGB", (columns * side, rows * side))
        for key, (column, row) in places.items():
            sheet.paste(_square(images[key], side), (column * side, row * side))
        written = io.BytesIO()
        sheet.save(written, "WEBP", lossless=True, quality=100, method=4)
        url = f"data:image/webp;base64,{base64.b64encode(written.getvalue()).decode('ascii')}"
        return Sprite(places, columns, rows, side, url)


def _square(image: NDArray[np.uint8], side: int) -> Image.Image:
    """Return an image with so many pixels a side, without smoothing."""
    picture = Image.fromarray(image if image.shape[2] == 3 else image[:, :, 0]).convert("RGB")
    return picture if picture.size == (side, side) else picture.resize((side, side), Image.Resampling.NEAREST)


def representatives(cells: Mapping[Any, Iterable[int]], times: int, most: int) -> list[int]:
    """Choose images so that each cell has one, then two, and so on; the cells with the most images come first.

    Parameters
    ----------
    cells
        The images in each cell, the best first. An image may be in several cells, and then counts in each.
    times
        Images that a cell should have.
    most
        Images in all.
    """
    members = {cell: list(images) for cell, images in cells.items()}
    order = sorted(members, key=lambda cell: -len(members[cell]))
    chosen: dict[int, None] = {}
    for wanted in range(1, times + 1):
        for cell in order:
            if sum(image in chosen for image in members[cell]) < wanted and len(chosen) < most:
                chosen |= dict.fromkeys([image for image in members[cell] if image not in chosen][:1])
    return list(chosen)
