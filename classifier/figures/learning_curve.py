"""The learning curve of one training run."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from classifier.figures.style import INK, TRAINING_COLOR, VALIDATION_COLOR, style_axes
from classifier.results.learning_curve import Epoch, best_epoch


def learning_curve_figure(epochs: Sequence[Epoch]) -> Figure:
    """Draw loss and accuracy of both splits against the epochs, the best epoch marked."""
    figure = Figure(figsize=(11, 4.8), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    best = best_epoch(epochs)
    for axes, quantity in ((loss, "loss"), (accuracy, "accuracy")):
        for split, color, style in (("train", TRAINING_COLOR, "--"), ("validation", VALIDATION_COLOR, "-")):
            values = [getattr(epoch, f"{split}_{quantity}") for epoch in epochs]
            label = "training" if split == "train" else split
            axes.plot([epoch.epoch for epoch in epochs], values, style, color=color, marker=".", label=label)
        height = getattr(best, f"validation_{quantity}")
        axes.axvline(best.epoch, color=INK, linewidth=0.8, linestyle=":", zorder=1)
        axes.plot(best.epoch, height, "o", color=VALIDATION_COLOR, markeredgecolor="white", markersize=9, zorder=3)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.margins(x=0.03)
        axes.set_title(quantity.capitalize())
        style_axes(axes, "epoch", "cross-entropy (nats)" if quantity == "loss" else quantity)
    accuracy.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    figure.legend(*loss.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    figure.suptitle(f"Best epoch {best.epoch} of {len(epochs)}: validation accuracy {best.validation_accuracy:.1%}", color=INK)
    return figure
