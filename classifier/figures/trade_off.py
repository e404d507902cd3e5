"""Accuracy against what it costs: seconds of training, or parameters."""

from collections.abc import Sequence
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from classifier.figures.revisions import HEIGHT, LONGEST_NAME, NAME_SIZE, WIDTH
from classifier.figures.style import INK, revision_style, show_logarithmic, show_percent, style_axes, text_width
from classifier.results.comparison import Row

LABELS = {"seconds": "seconds of training", "parameters": "parameters"}


def trade_off_figure(rows: Sequence[Row], quantity: Literal["seconds", "parameters"]) -> Figure:
    """Draw the test accuracy of each row against a cost, with its 95 % interval, or the deviation between its seeds."""
    figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
    axes = figure.subplots()
    costs = [float(getattr(row, quantity)) for row in rows]
    for number, (row, cost) in enumerate(zip(rows, costs, strict=True)):
        spread = row.test_accuracy_spread or 0
        low = row.test_accuracy - spread if row.test_accuracy_low is None else row.test_accuracy_low
        high = row.test_accuracy + spread if row.test_accuracy_high is None else row.test_accuracy_high
        color, marker = revision_style(number)
        axes.vlines(cost, low, high, color, linewidth=1.5, gid=f"revision-{number}-interval")
        axes.plot(cost, row.test_accuracy, color=color, marker=marker, linestyle="", gid=f"revision-{number}-point")
    axes.set_xscale("log")
    axes.set_xlim(min(costs) / 1.5, max(costs) * 1.5)
    axes.margins(y=0.1)
    show_logarithmic(axes.xaxis)
    show_percent(axes.yaxis)
    axes.set_title(f"Accuracy against {LABELS[quantity]}")
    style_axes(axes, LABELS[quantity], "test accuracy")
    figure.draw_without_rendering()  # now the place of the axes is known
    _name_points(figure, axes, [(row.name, cost, row.test_accuracy) for row, cost in zip(rows, costs, strict=True)])
    return figure


def _name_points(figure: Figure, axes: Axes, points: Sequence[tuple[str, float, float]]) -> None:
    """Write names to the right or to the left of their points, where there is neither a point nor another name."""
    inside = Bbox(axes.bbox.get_points() * 72 / figure.dpi)  # of typography, 72 an inch
    places = axes.transData.transform([point[1:] for point in points]) * 72 / figure.dpi
    taken = [Bbox.from_bounds(x - 5, y - 5, 10, 10) for x, y in places]
    for number, ((name, *at), (x, y)) in enumerate(zip(points, places, strict=True)):
        width, height = 72 * text_width(name, NAME_SIZE), 1.25 * NAME_SIZE
        for side, alignment in ((1, "left"), (-1, "right")):
            box = Bbox.from_bounds(x + 8 if side == 1 else x - 8 - width, y - height / 2, width, height)
            if width < 72 * LONGEST_NAME and box.x0 >= inside.x0 and box.x1 <= inside.x1 and not box.count_overlaps(taken):
                axes.annotate(
                    name,
                    (at[0], at[1]),
                    (8 * side, 0),
                    textcoords="offset points",
                    size=NAME_SIZE,
                    color=INK,
                    ha=alignment,
                    va="center",
                    gid=f"revision-{number}-name",
                )
                taken.append(box)
                break
