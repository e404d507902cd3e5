"""Figures: what came of a training, as a person would put it into a paper."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from classifier.learning_curve import Epoch, best_epoch
from classifier.predictions import Predictions
from classifier.scoring import class_scores

TRAINING_COLOR = "#d97706"
VALIDATION_COLOR = "#1d4ed8"
INK = "#1f2937"  # of all text and lines
PALE = "#e5e7eb"  # of grids
SCORE_COLORS = {"precision": "#0f766e", "recall": "#1d4ed8", "F1": "#be185d"}
SHARES: Colormap = LinearSegmentedColormap.from_list("shares", ["#ffffff", "#bfdbfe", "#3b82f6", "#1e3a8a"])


def learning_curve(epochs: Sequence[Epoch]) -> Figure:
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
        plain(axes, "epoch", "cross-entropy (nats)" if quantity == "loss" else quantity)
    accuracy.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    figure.legend(*loss.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    figure.suptitle(f"Best epoch {best.epoch} of {len(epochs)}: validation accuracy {best.validation_accuracy:.1%}", color=INK)
    return figure


def confusion_matrix(predictions: Predictions, most_frequent: int) -> Figure:
    """Draw the share of each true class that was given each class, and list the most frequent confusions beside it."""
    names = predictions.class_names
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(counts, (predictions.labels, predictions.probabilities.argmax(axis=1)), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)

    figure = Figure(figsize=(11.5, 8), layout="constrained")
    matrix, text = figure.subplots(1, 2, width_ratios=[3.6, 1] if most_frequent else [1, 0.01])
    picture = matrix.imshow(shares, cmap=SHARES, vmin=0, vmax=1)
    ticks = range(len(names))
    matrix.set_xticks(ticks, names, rotation=45, ha="right", rotation_mode="anchor")
    matrix.set_yticks(ticks, names)
    matrix.set_xlabel("predicted class", color=INK)
    matrix.set_ylabel("true class", color=INK)
    matrix.set_title(f"Confusion matrix of {counts.sum():,} test images, {counts.trace() / counts.sum():.1%} right", color=INK)
    matrix.set_xticks(np.arange(len(names) + 1) - 0.5, minor=True)
    matrix.set_yticks(np.arange(len(names) + 1) - 0.5, minor=True)
    matrix.grid(which="minor", color=PALE, linewidth=0.6)
    matrix.tick_params(which="both", length=0, colors=INK)
    for row in ticks:
        for column in ticks:
            matrix.text(
                column,
                row,
                f"{shares[row, column]:.1%}\n{counts[row, column]:,}" if counts[row, column] else "0",
                ha="center",
                va="center",
                fontsize=8.5 if len(names) <= 12 else 5,
                color="white" if shares[row, column] > 0.45 else INK,
            )
    bar = figure.colorbar(picture, ax=matrix, format=PercentFormatter(1, decimals=0), shrink=0.7, pad=0.015)
    bar.set_label("share of the true class", color=INK)

    text.axis("off")
    if most_frequent:
        wrong = counts.copy()
        np.fill_diagonal(wrong, 0)
        order = np.argsort(-wrong, axis=None, kind="stable")[:most_frequent]
        pairs = [np.unravel_index(place, wrong.shape) for place in order]
        lines = [
            f"{names[actual]} as {names[predicted]}: {wrong[actual, predicted]:,}"
            for actual, predicted in pairs
            if wrong[actual, predicted]
        ]
        text.set_title("Most frequent confusions", loc="left", fontsize=11, color=INK)
        text.text(
            0, 0.98, "\n".join(lines) or "none", va="top", fontsize=10, linespacing=1.8, color=INK, transform=text.transAxes
        )
    return figure


def scores_by_class(predictions: Predictions) -> Figure:
    """Draw precision, recall and F1 of each class, the class of the lowest F1 at the bottom."""
    scores = class_scores(predictions.labels, predictions.probabilities.argmax(axis=1), len(predictions.class_names))
    order = np.argsort(scores[2], kind="stable")
    figure = Figure(figsize=(8, 0.42 * len(order) + 1.6), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(order))
    precision, recall, _ = (score[order] for score in scores)
    axes.hlines(places, np.minimum(precision, recall), np.maximum(precision, recall), color=PALE, linewidth=4, zorder=1)
    for (name, color), score in zip(SCORE_COLORS.items(), scores, strict=True):
        axes.plot(score[order], places, "D" if name == "F1" else "o", color=color, markersize=6, label=name, zorder=2)
    for place, f1 in zip(places, scores[2][order], strict=True):
        axes.text(1.01, float(place), f"{f1:.1%}", va="center", color=INK, transform=axes.get_yaxis_transform())
    axes.text(1.01, len(order) - 0.35, "F1", va="center", color=INK, weight="bold", transform=axes.get_yaxis_transform())
    axes.set_yticks(places, predictions.class_names[order])
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_title("Scores of each class on the test split")
    plain(axes, "", "")
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure


def confident_mistakes(predictions: Predictions, most: int) -> Figure:
    """Show the mistaken images in which the model trusted most, with the true class, the predicted one and its probability."""
    predicted = predictions.probabilities.argmax(axis=1)[predictions.mistakes]
    confidence = predictions.probabilities.max(axis=1)[predictions.mistakes]
    order = np.argsort(-confidence, kind="stable")[:most]
    columns = min(8, max(1, len(order)))
    rows = max(1, -(-len(order) // columns))
    figure = Figure(figsize=(max(1.55 * columns, 6.5), 1.9 * rows + 0.6), layout="constrained")
    figure.suptitle(
        "The most confident mistakes: true class, then what it was taken for" if len(order) else "No mistakes", color=INK
    )
    for place, axes in enumerate(np.ravel(figure.subplots(rows, columns, squeeze=False))):
        axes.axis("off")
        if place < len(order):
            mistake = order[place]
            names = predictions.class_names
            actual = predictions.labels[predictions.mistakes[mistake]]
            axes.imshow(
                _displayable(predictions.mistaken_images[mistake]), cmap="gray", vmin=0, vmax=255, interpolation="nearest"
            )
            axes.set_title(f"{names[actual]}\n{names[predicted[mistake]]} {confidence[mistake]:.1%}", fontsize=8.5, color=INK)
    return figure


def _displayable(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return image[:, :, 0] if image.shape[2] == 1 else image


def plain(axes: Axes, x_label: str, y_label: str) -> None:
    """Label a chart's axes, and take away all that is not data."""
    axes.set_xlabel(x_label, color=INK)
    axes.set_ylabel(y_label, color=INK)
    axes.title.set_color(INK)
    axes.grid(color=PALE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, length=0)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(INK)
