"""The confusion matrix of one split."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from classifier.figures.style import INK, PALE, SHARES
from classifier.results.predictions import Predictions


def confusion_matrix_figure(predictions: Predictions, most_frequent: int) -> Figure:
    """Draw the share of each true class that was predicted as each class, and list the most frequent confusions."""
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
        pairs = [np.unravel_index(index, wrong.shape) for index in order]
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
