"""The learning curves of several trainings in one chart."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import color_sequences, colormaps
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from classifier.figures.style import INK, show_epochs, show_percent, style_axes, text_width
from classifier.results.comparison import Result
from classifier.results.learning_curve import best_epoch

WIDTH, HEIGHT = 11, 4.8  # inches, with a legend of one row
NAME_LENGTH = 74  # characters in a line of the legend
SPLITS = ("train", "validation")


def learning_curves(groups: Mapping[str, Sequence[Result]]) -> Figure:
    """Draw the curves of all trainings: training dashed, validation solid, a colour a group, each best epoch marked.

    A training of one epoch has points instead of lines. The figure grows with its legend.
    """
    many = len(groups) > len(color_sequences["tab10"])
    colors = colormaps["turbo"](np.linspace(0.05, 0.95, len(groups))) if many else color_sequences["tab10"]
    handles = [
        Line2D([], [], color=color, label=textwrap.fill(name, NAME_LENGTH)) for name, color in zip(groups, colors, strict=False)
    ]
    point = "o" if any(len(result.curve) == 1 for results in groups.values() for result in results) else ""
    handles += [
        Line2D([], [], color=INK, linestyle="--", linewidth=1.2, marker=point, markerfacecolor="white", label="training"),
        Line2D([], [], color=INK, linewidth=2, label="validation"),
        Line2D([], [], color=INK, linestyle="", marker="o", label="best epoch"),
    ]
    lines = [line for handle in handles for line in str(handle.get_label()).splitlines()]
    # In points: handle, gap, text and space between columns; Matplotlib neither breaks nor measures a legend by itself.
    entry = 20 + 8 + 20 + 72 * max(text_width(line, 10) for line in lines)
    columns = min(len(handles), max(1, int(WIDTH * 72 / entry)))
    rows = -(-len(handles) // columns) * -(-len(lines) // len(handles))
    figure = Figure(figsize=(WIDTH, HEIGHT + 0.25 * (rows - 1)), layout="constrained")
    panels = figure.subplots(1, 2)
    last = max(result.curve[-1].epoch for results in groups.values() for result in results)
    for axes, quantity in zip(panels, ("loss", "accuracy"), strict=True):
        for color, results in zip(colors, groups.values(), strict=False):
            for curve in (result.curve for result in results):
                epochs = [epoch.epoch for epoch in curve]
                training, validation = ([getattr(epoch, f"{split}_{quantity}") for epoch in curve] for split in SPLITS)
                point = "o" if len(curve) == 1 else ""
                axes.plot(epochs, training, f"--{point}", color=color, linewidth=1.2, markerfacecolor="white")
                axes.plot(epochs, validation, "-", color=color, linewidth=2)
                best = best_epoch(curve)
                axes.plot(best.epoch, getattr(best, f"validation_{quantity}"), "o", color=color, markeredgecolor="white")
        show_epochs(axes, last)
        axes.set_title(quantity.capitalize())
        style_axes(axes, "epoch", "cross-entropy (nats)" if quantity == "loss" else "accuracy")
    show_percent(panels[1].yaxis)
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False)
    return figure
