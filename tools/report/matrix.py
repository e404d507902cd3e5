"""Confusion matrices as tables of cells, and the differences between two of them."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from classifier.figures.confusion_matrix import confusion_matrix_figure
from classifier.figures.style import png
from classifier.results.difference import Difference
from classifier.results.predictions import Predictions
from tools.report.images import CONFUSIONS, LARGEST_TABLE, TestSet, frequent_confusions
from tools.report.revision import Line

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


def matrices(lines: Sequence[Line], sets: Sequence[TestSet], found: Sequence[Difference]) -> list[Matrix]:
    """Return the confusion matrices of all rows, and the differences between the rows that are compared."""
    place = {line: number for number, test in enumerate(sets) for line in test.predictions}
    shown = []
    for line in lines:
        names, confusions = line.first.class_names, line.first.confusions
        common = (f"matrix-{line.number}", line.first_name, [line.number], names)
        if 0 < len(names) <= LARGEST_TABLE:
            shown.append(Matrix(*common, cells=matrix_cells(confusions), set=place.get(line.number)))
        elif names:
            images = confusions.sum(axis=1)
            frequent = [
                (i, j, int(confusions[i, j]), float(confusions[i, j] / images[i]))
                for i, j in frequent_confusions(confusions, CONFUSIONS)
            ]
            shown.append(Matrix(*common, picture=_picture(line), confusions=frequent, set=place.get(line.number)))
    numbers = {line.name: line.number for line in lines}
    for each in found:
        first, second = lines[numbers[each.first]], lines[numbers[each.second]]
        names = first.first.class_names
        if each.method != "none" and 0 < len(names) <= LARGEST_TABLE and names == second.first.class_names:
            cells = difference_cells(first.first.confusions, second.first.confusions)
            pair = [first.number, second.number]
            test = place.get(first.number) if place.get(first.number) == place.get(second.number) else None
            title = f"{first.name} minus {second.name}"
            shown.append(Matrix(f"difference-{first.number}-{second.number}", title, pair, names, cells, set=test))
    return shown


def _picture(line: Line) -> tuple[str, str]:
    """Return URLs of the picture of a large confusion matrix, on light and on dark background."""
    confusions, names = line.first.confusions, np.array(line.first.class_names)
    labels, predicted = (np.repeat(indices.ravel(), confusions.ravel()) for indices in np.indices(confusions.shape))
    predictions = line.first.result.predictions or Predictions(labels, np.eye(len(names))[predicted], names)
    pictures = (png(partial(confusion_matrix_figure, predictions, 0), 100, dark=dark) for dark in (False, True))
    light, dark = (f"data:image/png;base64,{base64.b64encode(data).decode('ascii')}" for data in pictures)
    return light, dark


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
