"""Confusion matrices as tables of cells, and the differences between two of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DARK_FROM = 0.5  # share of the true class, from which a cell is dark


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    text, share
        Number of images, and their share of the true class; signed in a difference.
    tint
        Strength of the colour, 0 to 1.
    kind
        `dark` for a large share; `better` or `worse` in a difference; otherwise empty.
    """

    text: str
    share: str
    tint: float
    kind: str = ""


def matrix_cells(confusions: NDArray[np.int64]) -> list[list[Cell | None]]:
    """Return the cells of a confusion matrix [classes, classes]; None for an empty one."""
    images = confusions.sum(axis=1)
    return [
        [_cell(int(count), count / images[row]) if count else None for count in counts] for row, counts in enumerate(confusions)
    ]


def _cell(count: int, share: float) -> Cell:
    dark = share >= DARK_FROM
    return Cell(
        f"{count:,}", f"{share:.1%}", round(float(share if dark else np.sqrt(share / DARK_FROM)), 2), "dark" if dark else ""
    )


def difference_cells(first: NDArray[np.int64], second: NDArray[np.int64]) -> list[list[Cell | None]]:
    """Return the cells of `first` minus `second`, two confusion matrices of the same images; None where they are equal."""
    difference, images = first - second, first.sum(axis=1)
    largest = max(1, int(np.abs(difference).max()))
    cells: list[list[Cell | None]] = []
    for row, values in enumerate(difference):
        better = [bool((value > 0) == (row == column)) for column, value in enumerate(values)]
        cells.append(
            [
                Cell(f"{value:+,}", f"{value / images[row]:+.1%}", round(float(np.sqrt(abs(value) / largest)), 2), kind)
                if value
                else None
                for value, kind in zip(values, ("better" if each else "worse" for each in better), strict=True)
            ]
        )
    return cells


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix, or the difference of two, as the page shows it.

    lines
        Numbers of its rows of the report; of two, the second is subtracted from the first.
    cells
        None where there are too many classes for a table.
    picture
        For many classes: URLs of the picture on light and on dark background.
    confusions
        For many classes: true class, predicted class, images and share of the true class of the most frequent confusions.
    set
        Index of its test set, None without predictions.
    """

    id: str
    title: str
    lines: Sequence[int]
    class_names: Sequence[str]
    cells: Sequence[Sequence[Cell | None]] | None = None
    picture: tuple[str, str] | None = None
    confusions: Sequence[tuple[int, int, int, float]] = ()
    set: int | None = None
