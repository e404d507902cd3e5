"""The learning curve of one training run."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from classifier.figures.style import INK, TRAINING_COLOR, VALIDATION_COLOR, show_epochs, show_percent, style_axes
from classifier.results.learning_curve import Epoch, best_epoch


def learning_curve_figure(epochs: Sequence[Epoch]) -> Figure:
    """Draw loss and accuracy of both splits against the epochs, the best epoch marked."""
    figure = Figure(figsize=(11, 4.8), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    best = best_epoch(epochs)
    for axes, quantity in ((loss, "loss"), (accuracy, "accuracy")):
        for split, label, color, style, inside in (
            ("train", "training", TRAINING_COLOR, "--o", "white"),
            ("validation", "validation", VALIDATION_COLOR, "-o", VALIDATION_COLOR),
        ):
            values = [getattr(epoch, f"{split}_{quantity}") for epoch in epochs]
            numbers = [epoch.epoch for epoch in epochs]
            axes.plot(numbers, values, style, color=color, markersize=4.5, markerfacecolor=inside, label=label)
        height = getattr(best, f"validation_{quantity}")
        axes.axvline(best.epoch, color=INK, linewidth=0.8, linestyle=":", zorder=1)
        marker = {"markersize": 9, "markeredgecolor": "white", "linestyle": "", "zorder": 3, "label": "best epoch"}
        axes.plot(best.epoch, height, "o", color=VALIDATION_COLOR, **marker)
        show_epochs(axes, len(epochs))
        axes.set_title(quantity.capitalize())
        style_axes(axes, "epoch", "cross-entropy (nats)" if quantity == "loss" else quantity)
    show_percent(accuracy.yaxis)
    figure.legend(*loss.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle(f"Best epoch {best.epoch} of {len(epochs)}: validation accuracy {best.validation_accuracy:.1%}", color=INK)
    return figure
