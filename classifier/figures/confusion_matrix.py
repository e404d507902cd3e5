"""The confusion matrix of one split."""

import math
import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from classifier.figures.style import INK, PALE, SHARES, short_name, text_width
from classifier.results.predictions import Predictions

SIDE = 6.6  # inches of the matrix of 13 classes or fewer
LARGEST_SIDE = 10  # inches of the matrix of 20 classes or more
SMALLEST_TEXT = 5  # points, below which text is left out
LINE = 0.24  # inches between two lines of a list
LINE_LENGTH = 46  # characters


def confusion_matrix_figure(predictions: Predictions, most_frequent: int) -> Figure:
    """Draw the confusion matrix of predictions, as `matrix_figure` does."""
    counts = np.zeros((len(predictions.class_names),) * 2, dtype=np.int64)
    np.add.at(counts, (predictions.labels, predictions.probabilities.argmax(axis=1)), 1)
    return matrix_figure(counts, predictions.class_names.tolist(), most_frequent)


def matrix_figure(counts: NDArray[np.int64], class_names: Sequence[str], most_frequent: int) -> Figure:
    """Draw the share of each true class that was predicted as each class, and list the most frequent confusions.

    Where there are too many classes for numbers in the cells, the classes with the lowest recall are listed too, and only as
    many classes are named at the edges as there is room for.

    Parameters
    ----------
    counts
        [true class, predicted class], of images.
    """
    names = [short_name(name) for name in class_names]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)

    side = min(max(SIDE, 0.5 * len(names)), LARGEST_SIDE)
    cell = 72 * side / len(names)  # points
    number_size = min(8.5, 0.9 * cell / (72 * max(text_width(number, 1) for number in ("100.0%", f"{counts.max():,}"))))
    name_size = min(10, max(SMALLEST_TEXT, cell / 1.2))
    widest = max(text_width(name, name_size) for name in names)
    rotation = 0 if 72 * widest < 0.9 * cell else 45 if cell > 1.7 * name_size else 90

    lists = {"Most frequent confusions": _most_frequent(counts, names, most_frequent)} if most_frequent else {}
    if most_frequent and number_size < SMALLEST_TEXT:
        lists["Classes with the lowest recall"] = _lowest_recall(counts, names, most_frequent)
    text = [(line, 12 if line is title else 10) for title, lines in lists.items() for line in ["", title, *lines]][1:]

    # In inches; everything is placed by hand, since the layouts of Matplotlib neither keep a size of cells nor measure a list.
    left, top, bottom = widest + 0.5, 0.45, {0: 0.2, 45: 0.75 * widest + 0.15, 90: widest}[rotation] + 0.45
    right = left + side + 1.15  # of the scale of colours
    width = right + max([text_width(line, size) + 0.15 for line, size in text], default=0)
    height = max(top + side + bottom, LINE * len(text) + 0.3)
    figure = Figure(figsize=(width, height))
    matrix = figure.add_axes((left / width, 1 - (top + side) / height, side / width, side / height))
    picture = matrix.imshow(shares, cmap=SHARES, vmin=0, vmax=1)
    ticks = range(0, len(names), math.ceil(1.2 * name_size / cell - 1e-9))
    named = [names[tick] for tick in ticks]
    horizontal, vertical = {0: ("center", "top"), 45: ("right", "top"), 90: ("right", "center")}[rotation]
    matrix.set_xticks(ticks, named, rotation=rotation, rotation_mode="anchor", ha=horizontal, va=vertical)
    matrix.set_yticks(ticks, named)
    matrix.set_xlabel("predicted class", color=INK)
    matrix.set_ylabel("true class", color=INK)
    matrix.set_title(f"Confusion matrix of {counts.sum():,} test images, {counts.trace() / counts.sum():.1%} right", color=INK)
    matrix.set_xticks(np.arange(len(names) + 1) - 0.5, minor=True)
    matrix.set_yticks(np.arange(len(names) + 1) - 0.5, minor=True)
    matrix.grid(which="minor", color=PALE, linewidth=min(0.6, cell / 24))
    matrix.tick_params(which="both", length=0, colors=INK)
    matrix.tick_params(which="major", labelsize=name_size)
    if number_size >= SMALLEST_TEXT:
        for row, column in np.ndindex(counts.shape):
            matrix.text(
                column,
                row,
                f"{shares[row, column]:.1%}\n{counts[row, column]:,}" if counts[row, column] else "0",
                ha="center",
                va="center",
                fontsize=number_size,
                color="white" if shares[row, column] > 0.5 else INK,
            )
    place = ((left + side + 0.12) / width, 1 - (top + 0.85 * side) / height, 0.22 / width, 0.7 * side / height)
    bar = figure.colorbar(picture, cax=figure.add_axes(place), format=PercentFormatter(1, decimals=0))
    bar.set_label("share of the true class", color=INK)
    for number, (line, size) in enumerate(text):
        figure.text(right / width, 1 - (top + LINE * number) / height, line, size=size, color=INK)
    return figure


def _most_frequent(counts: NDArray[np.int64], names: Sequence[str], most: int) -> list[str]:
    """Return lines with the most frequent confusions."""
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    lines = []
    for index in np.argsort(-wrong, axis=None, kind="stable")[:most]:
        actual, predicted = np.unravel_index(index, wrong.shape)
        if times := wrong[actual, predicted]:
            line = f"{names[actual]} taken for {names[predicted]}: {f'{times:,} times' if times > 1 else 'once'}"
            lines += textwrap.wrap(line, LINE_LENGTH, subsequent_indent="    ", break_on_hyphens=False)
    return lines or ["none"]


def _lowest_recall(counts: NDArray[np.int64], names: Sequence[str], most: int) -> list[str]:
    """Return lines with the classes of the lowest recall, of those that have images."""
    images = counts.sum(axis=1)
    recall = counts.diagonal() / np.maximum(images, 1)
    order = np.argsort(recall, kind="stable")
    return [f"{names[index]}: {recall[index]:.1%}" for index in order[images[order] > 0][:most]]
