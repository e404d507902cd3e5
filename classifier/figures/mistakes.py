"""The most confident mistakes, as a gallery."""

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from classifier.figures.style import INK
from classifier.results.predictions import Mistakes, Predictions


def mistakes_figure(predictions: Predictions, mistakes: Mistakes, most: int) -> Figure:
    """Show the first `most` mistakes, with the true class, the predicted one and its probability."""
    shown = min(most, len(mistakes.indices))
    columns = min(8, max(1, shown))
    rows = max(1, -(-shown // columns))
    figure = Figure(figsize=(max(1.55 * columns, 6.5), 1.9 * rows + 0.6), layout="constrained")
    figure.suptitle("The most confident mistakes: true class, predicted class" if shown else "No mistakes", color=INK)
    names = predictions.class_names
    for number, axes in enumerate(np.ravel(figure.subplots(rows, columns, squeeze=False))):
        axes.axis("off")
        if number < shown:
            index = mistakes.indices[number]
            probabilities = predictions.probabilities[index]
            image = _displayable(mistakes.images[number])
            axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            prediction = f"{names[probabilities.argmax()]} {probabilities.max():.1%}"
            axes.set_title(f"{names[predictions.labels[index]]}\n{prediction}", fontsize=8.5, color=INK)
    return figure


def _displayable(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return image[:, :, 0] if image.shape[2] == 1 else image
