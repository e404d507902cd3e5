"""The learning curves of several trainings in one chart."""

from collections.abc import Mapping, Sequence

from matplotlib import color_sequences
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from classifier.figures.style import INK, style_axes
from classifier.results.comparison import Result
from classifier.results.learning_curve import best_epoch


def learning_curves(groups: Mapping[str, Sequence[Result]]) -> Figure:
    """Draw the curves of all trainings: training dashed, validation solid, a colour a group, each best epoch marked."""
    figure = Figure(figsize=(11, 4.8), layout="constrained")
    colors = color_sequences["tab10"]
    panels = figure.subplots(1, 2)
    for axes, quantity in zip(panels, ("loss", "accuracy"), strict=True):
        for number, results in enumerate(groups.values()):
            color = colors[number % len(colors)]
            for curve in (result.curve for result in results):
                epochs = [epoch.epoch for epoch in curve]
                axes.plot(epochs, [getattr(epoch, f"train_{quantity}") for epoch in curve], "--", color=color, linewidth=1.2)
                axes.plot(epochs, [getattr(epoch, f"validation_{quantity}") for epoch in curve], "-", color=color, linewidth=2)
                best = best_epoch(curve)
                axes.plot(best.epoch, getattr(best, f"validation_{quantity}"), "o", color=color, markeredgecolor="white")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_title(quantity.capitalize())
        style_axes(axes, "epoch", "cross-entropy (nats)" if quantity == "loss" else "accuracy")
    panels[1].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    handles = [Line2D([], [], color=colors[number % len(colors)], label=name) for number, name in enumerate(groups)]
    handles += [
        Line2D([], [], color=INK, linestyle="--", linewidth=1.2, label="training"),
        Line2D([], [], color=INK, linewidth=2, label="validation"),
        Line2D([], [], color=INK, linestyle="", marker="o", label="best epoch"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 7), frameon=False)
    return figure
