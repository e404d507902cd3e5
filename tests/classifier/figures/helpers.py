"""What the tests of figures share."""

import numpy as np
from matplotlib.figure import Figure

from classifier.results.predictions import Predictions


def predictions(labels: list[int], predicted: list[int]) -> Predictions:
    """Predictions whose confidence falls from image to image."""
    probabilities = np.zeros((len(labels), 3))
    for row, choice in enumerate(predicted):
        probabilities[row] = 0.05 + 0.01 * row
        probabilities[row, choice] = 1 - 2 * (0.05 + 0.01 * row)
    return Predictions(np.array(labels), probabilities, np.array(["cat", "dog", "eel"]))


def words(figure: Figure) -> list[str]:
    """All text that a figure shows."""
    figure.draw_without_rendering()
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")) if text.get_text()]  # type: ignore[attr-defined]
