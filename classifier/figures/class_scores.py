"""Precision, recall and F1 of each class."""

import numpy as np
from matplotlib.figure import Figure

from classifier.figures.style import INK, PALE, SCORE_COLORS, show_percent, style_axes
from classifier.results.predictions import Predictions
from classifier.results.scoring import class_scores


def class_scores_figure(predictions: Predictions) -> Figure:
    """Draw precision, recall and F1 of each class, sorted by F1 with the lowest at the bottom."""
    scores = class_scores(predictions.labels, predictions.probabilities.argmax(axis=1), len(predictions.class_names))
    order = np.argsort(scores[2], kind="stable")
    figure = Figure(figsize=(8, 0.42 * len(order) + 1.6), layout="constrained")
    axes = figure.subplots()
    rows = np.arange(len(order))
    precision, recall, _ = (score[order] for score in scores)
    axes.hlines(rows, np.minimum(precision, recall), np.maximum(precision, recall), color=PALE, linewidth=4, zorder=1)
    for (name, color), score in zip(SCORE_COLORS.items(), scores, strict=True):
        axes.plot(score[order], rows, "D" if name == "F1" else "o", color=color, markersize=6, label=name, zorder=2)
    for row, f1 in zip(rows, scores[2][order], strict=True):
        axes.text(1.01, float(row), f"{f1:.1%}", va="center", color=INK, transform=axes.get_yaxis_transform())
    axes.text(1.01, len(order) - 0.35, "F1", va="center", color=INK, weight="bold", transform=axes.get_yaxis_transform())
    axes.set_yticks(rows, predictions.class_names[order])
    show_percent(axes.xaxis)
    axes.set_title("Scores of each class on the test split")
    style_axes(axes, "", "")
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure
