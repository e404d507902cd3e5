import numpy as np
import pytest
from matplotlib.figure import Figure

from classifier.figures.mistakes import mistakes_figure
from classifier.results.predictions import find_mistakes
from tests.classifier.figures.helpers import EACH, assert_readable, of_classes, predictions, words


def gallery(labels: list[int], predicted: list[int], most: int, channels: int = 3) -> Figure:
    found = predictions(labels, predicted)
    return mistakes_figure(found, find_mistakes(found, np.zeros((len(labels), 4, 4, channels), dtype=np.uint8)), most)


def test_the_gallery_shows_the_most_confident_mistakes_first() -> None:
    figure = gallery([0, 1, 2, 0], [1, 1, 0, 2], most=2)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["cat\ntaken for dog\nprobability 90.0%", "eel\ntaken for cat\nprobability 86.0%"]


@pytest.mark.parametrize("channels", [1, 3])
def test_the_gallery_takes_grey_images_and_fewer_mistakes_than_asked_for(channels: int) -> None:
    figure = gallery([0], [1], 24, channels)
    figure.draw_without_rendering()
    assert len(figure.axes) == 1


@pytest.mark.parametrize("names", EACH)
def test_every_caption_is_readable_with_any_length_of_names(names: list[str]) -> None:
    found = of_classes(names)
    figure = mistakes_figure(found, find_mistakes(found, np.zeros((len(found.labels), 4, 4, 3), dtype=np.uint8)), most=24)
    assert_readable(figure)
    assert len(figure.axes) >= min(24, len(names) // 2)
    assert min(axes.bbox.width for axes in figure.axes) > 1.2 * figure.dpi


def test_a_row_has_eight_images_with_the_names_of_cifar10() -> None:
    assert gallery([0] * 9, [1] * 9, most=24).axes[8].get_subplotspec().rowspan.start == 1  # type: ignore[union-attr]


def test_the_title_of_a_gallery_of_one_mistake_is_not_cut_off() -> None:
    figure = gallery([0], [1], most=24)
    figure.draw_without_rendering()
    (title,) = figure.texts
    assert title.get_text().startswith("The most confident")
    assert 0 <= title.get_window_extent().x0 < title.get_window_extent().x1 <= figure.bbox.width


def test_a_model_without_mistakes_has_a_picture_that_says_so() -> None:
    assert "No mistakes" in words(gallery([0, 1], [0, 1], most=24))
