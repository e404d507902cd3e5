"""The learning curves of several trainings in one chart."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from classifier.figures.revisions import HEIGHT, WIDTH, every, marker_of, name_ends
from classifier.figures.style import INK, revision_style, show_epochs, show_logarithmic, show_percent, style_axes, text_width
from classifier.results.learning_curve import Epoch, best_epoch

PICTURE_WIDTH, PICTURE_HEIGHT = 11, 4.8  # inches, with a legend of one row
NAME_LENGTH = 74  # characters in a line of the legend

Curves = Mapping[str, Sequence[Sequence[Epoch]]]  # of each seed, by the name of the design
Quantity = Literal["loss", "accuracy"]


def learning_curves(curves: Curves) -> Figure:
    """Draw the loss and the accuracy of all trainings side by side, with a legend with which the figure grows."""
    handles = []
    for number, name in enumerate(curves):
        color, marker = revision_style(number)
        handles.append(Line2D([], [], color=color, marker=marker, label=textwrap.fill(name, NAME_LENGTH)))
    handles += [
        Line2D([], [], color=INK, linestyle="--", linewidth=1.2, marker="o", markerfacecolor="white", label="training"),
        Line2D([], [], color=INK, linewidth=2, marker="o", label="validation"),
        Line2D([], [], color=INK, linestyle="", marker="o", markersize=8, label="best epoch"),
    ]
    lines = [line for handle in handles for line in str(handle.get_label()).splitlines()]
    # In points: handle, gap, text and space between columns; Matplotlib neither breaks nor measures a legend by itself.
    entry = 20 + 8 + 20 + 72 * max(text_width(line, 10) for line in lines)
    columns = min(len(handles), max(1, int(PICTURE_WIDTH * 72 / entry)))
    rows = -(-len(handles) // columns) * -(-len(lines) // len(handles))
    figure = Figure(figsize=(PICTURE_WIDTH, PICTURE_HEIGHT + 0.25 * (rows - 1)), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False)
    _draw(figure, loss, curves, "loss")
    _draw(figure, accuracy, curves, "accuracy")
    return figure


def curve_figure(curves: Curves, quantity: Quantity, logarithmic: bool = False) -> Figure:
    """Draw one quantity of all trainings; on a logarithmic axis, the error takes the place of the accuracy."""
    figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
    _draw(figure, figure.subplots(), curves, quantity, logarithmic)
    return figure


def _draw(figure: Figure, axes: Axes, curves: Curves, quantity: Quantity, logarithmic: bool = False) -> None:
    """Draw training dashed, validation solid, and each best epoch with a larger marker; of the seeds, the first has others."""
    error = logarithmic and quantity == "accuracy"

    def height(epoch: Epoch, split: str) -> float:
        value = float(getattr(epoch, f"{split}_{quantity}"))
        return 1 - value if error else value

    ends = {}
    for number, (name, seeds) in enumerate(curves.items()):
        color, marker = revision_style(number)
        width = 2.0 if len(seeds) == 1 else 1.2
        for seed, curve in enumerate(seeds):
            epochs = [epoch.epoch for epoch in curve]
            line: dict[str, Any] = {
                "color": color,
                "marker": "" if seed else marker,
                "markersize": 4.5,
                "markevery": every(number, len(curve)),
            }
            training, validation = ([height(epoch, split) for epoch in curve] for split in ("train", "validation"))
            gid, best = f"revision-{number}-{{}}-{seed}".format, best_epoch(curve)
            axes.plot(epochs, training, "--", **line, linewidth=0.6 * width, markerfacecolor="white", gid=gid("training"))
            axes.plot(epochs, validation, "-", **line, linewidth=width, gid=gid("validation"))
            axes.plot(best.epoch, height(best, "validation"), **marker_of(number), gid=gid("best"))
        if seeds:
            ends[number] = (name, float(seeds[0][-1].epoch), height(seeds[0][-1], "validation"))
    show_epochs(axes, max((curve[-1].epoch for seeds in curves.values() for curve in seeds), default=1))
    if logarithmic:
        axes.set_yscale("log", nonpositive="clip")
        show_logarithmic(axes.yaxis)
    if quantity == "accuracy":
        show_percent(axes.yaxis)
    title = "error" if error else quantity
    axes.set_title(title.capitalize())
    style_axes(axes, "epoch", {"loss": "cross-entropy (nats)", "error": "error, 1 - accuracy"}.get(title, title))
    name_ends(figure, axes, ends)
