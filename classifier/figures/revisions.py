"""Several revisions in one chart: each has the colour, the marker and the ids of its number, and a name where there is room."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.optimize import isotonic_regression

from classifier.figures.style import INK, revision_style, text_width

WIDTH, HEIGHT = 4.4, 3.2  # inches of a chart: readable on a phone, too
NAME_SIZE = 8.5  # points
LONGEST_NAME = 1.3  # inches
MARKERS = 6  # the most on a line

Ends = Mapping[int, tuple[str, float, float]]  # of the lines: name and place by number of the revision


def every(number: int, points: int) -> tuple[int, int]:
    """Return which of the points of a revision's line have a marker (`markevery`): not those of the next revision."""
    step = -(-points // MARKERS)
    return number % step, step


def name_ends(figure: Figure, axes: Axes, ends: Ends) -> None:
    """Write names to the right of the ends of lines, moved up or down where they would overlap; of long ones, none."""
    short = {number: end for number, end in ends.items() if text_width(end[0], NAME_SIZE) < LONGEST_NAME}
    names = {}
    for number, (name, x, y) in short.items():
        names[number] = axes.annotate(
            name, (x, y), (9, 0), textcoords="offset points", size=NAME_SIZE, color=INK, va="center", annotation_clip=False
        )
        names[number].set_gid(f"revision-{number}-name")
    figure.draw_without_rendering()  # now the place of the axes is known
    low, high = (edge * 72 / figure.dpi for edge in (axes.bbox.y0, axes.bbox.y1))  # points
    distance = 1.25 * NAME_SIZE
    for x in {end[1] for end in short.values()}:
        numbers = sorted((number for number, end in short.items() if end[1] == x), key=lambda number: short[number][2])
        for number in numbers[int((high - low) / distance) + 1 :]:
            names[number].remove()
        numbers = numbers[: int((high - low) / distance) + 1]
        heights = axes.transData.transform([short[number][1:] for number in numbers])[:, 1] * 72 / figure.dpi
        steps = distance * np.arange(len(numbers))
        moved = np.clip(isotonic_regression(heights - steps).x, low, high - steps[-1]) + steps
        for number, shift in zip(numbers, moved - heights, strict=True):
            names[number].set_position((9, shift))


def marker_of(number: int) -> dict[str, Any]:
    """Return what `Axes.plot` takes for the marker of a revision that stands for itself."""
    color, marker = revision_style(number)
    return {"color": color, "marker": marker, "markersize": 8, "markeredgecolor": "white", "linestyle": ""}
