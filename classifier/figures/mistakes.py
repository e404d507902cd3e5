"""The most confident mistakes, as a gallery."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray

from classifier.figures.style import INK, short_name, text_width
from classifier.results.predictions import Mistakes, Predictions

WIDTH = 12.4  # inches, which hold 8 images
CAPTION = 8.5  # points


def mistakes_figure(predictions: Predictions, mistakes: Mistakes, most: int) -> Figure:
    """Show the first `most` mistakes, with the true class, the predicted one and its probability."""
    names = [short_name(name) for name in predictions.class_names.tolist()]
    captions = []
    for index in mistakes.indices[:most]:
        probabilities = predictions.probabilities[index]
        predicted = f"taken for {names[probabilities.argmax()]}"
        captions.append(f"{names[predictions.labels[index]]}\n{predicted}\nprobability {probabilities.max():.1%}")
    cell = max(WIDTH / 8, *(text_width(caption, CAPTION) + 0.1 for caption in captions), 0)
    columns = min(int(WIDTH / cell), max(1, len(captions)))
    rows = max(1, -(-len(captions) // columns))
    figure = Figure(figsize=(max(cell * columns, 7.5), 2.05 * rows + 0.6), layout=ConstrainedLayoutEngine(h_pad=0.08))
    title = "The most confident mistakes: true class, predicted class and its probability" if captions else "No mistakes"
    figure.suptitle(title, color=INK)
    for number, axes in enumerate(np.ravel(figure.subplots(rows, columns, squeeze=False))):
        axes.axis("off")
        if number < len(captions):
            axes.imshow(_displayable(mistakes.images[number]), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axes.set_title(captions[number], fontsize=CAPTION, color=INK)
    return figure


def _displayable(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return image[:, :, 0] if image.shape[2] == 1 else image
