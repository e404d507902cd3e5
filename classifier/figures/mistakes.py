"""The most confident mistakes as a gallery."""

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from classifier.figures.style import INK
from classifier.results.predictions import Predictions


def mistakes(predictions: Predictions, most: int) -> Figure:
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
