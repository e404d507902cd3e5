"""What the tests of figures share."""

from collections.abc import Iterator

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from classifier.results.predictions import Predictions


def predictions(labels: list[int], predicted: list[int]) -> Predictions:
    """Predictions whose confidence falls from image to image."""
    probabilities = np.zeros((len(labels), 3))
    for row, choice in enumerate(predicted):
        probabilities[row] = 0.05 + 0.01 * row
        probabilities[row, choice] = 1 - 2 * (0.05 + 0.01 * row)
    return Predictions(np.array(labels), probabilities, np.array(["cat", "dog", "eel"]))


# Names of classes, few and many, short and long, of the same and of different lengths.
NAMES = {
    "2 of one letter": ["a", "b"],
    "2 of 30 letters": [f"{letter}{'w' * 29}" for letter in "ab"],
    "digits": [str(number) for number in range(10)],
    "CIFAR-10": ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"],
    "10 of 30 letters": [f"{letter}{'w' * 29}" for letter in "abcdefghij"],
    "10 of 200 letters": [letter * 200 for letter in "abcdefghij"],
    "30": [f"aquarium_{number}" for number in range(30)],
    "50 of one letter": [chr(ord("A") + number) for number in range(50)],
    "100": ["baby", "aquarium_fish", "sea", "lawn_mower", *(f"class {number}" for number in range(96))],
    "100 of 30 letters": [f"{number:02}{'w' * 28}" for number in range(100)],
    "300": [f"aquarium_{number}" for number in range(300)],
}
EACH = [pytest.param(names, id=name, marks=[pytest.mark.slow] if len(names) > 100 else []) for name, names in NAMES.items()]


def of_classes(names: list[str]) -> Predictions:
    """Two images of each class, of which the second is taken for the next class in every other class."""
    labels = np.repeat(np.arange(len(names)), 2)
    predicted = labels.copy()
    predicted[1::4] = (predicted[1::4] + 1) % len(names)
    return Predictions(labels, 0.9 * np.eye(len(names))[predicted] + 0.1 / len(names), np.array(names))


def _drawn(figure: Figure) -> Iterator[Text]:
    """All text that a figure shows, without ticks outside of their axes."""
    yield from figure.texts
    for legend in figure.legends:
        yield from legend.get_texts()
    for axes in figure.axes:
        yield from (axes.title, *axes.texts)
        if axes.axison:
            for axis in (axes.xaxis, axes.yaxis):
                low, high = sorted(axis.get_view_interval())
                yield axis.label
                yield from (
                    label
                    for tick in axis.get_major_ticks()
                    for label in (tick.label1, tick.label2)
                    if low <= tick.get_loc() <= high
                )


def assert_readable(figure: Figure) -> None:
    """Fail if a text that is not slanted overlaps another one or leaves the figure."""
    figure.draw_without_rendering()
    straight = [text for text in _drawn(figure) if text.get_visible() and text.get_text() and text.get_rotation() % 90 == 0]
    texts, places = [text.get_text() for text in straight], np.array([text.get_window_extent().extents for text in straight])
    width, height = figure.bbox.size
    assert [
        text for text, (x0, y0, x1, y1) in zip(texts, places, strict=True) if min(x0, y0, width - x1, height - y1) < 0
    ] == []
    low, high = places[:, None, :2], places[:, None, 2:]
    overlap = ~np.eye(len(texts), dtype=np.bool_) & ((low < high.swapaxes(0, 1) - 1) & (low.swapaxes(0, 1) < high - 1)).all(
        axis=2
    )  # by more than a pixel
    assert [(texts[one], texts[other]) for one, other in np.argwhere(overlap)] == []


def words(figure: Figure) -> list[str]:
    """All text that a figure shows."""
    figure.draw_without_rendering()
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")) if text.get_text()]  # type: ignore[attr-defined]
