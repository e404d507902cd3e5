import numpy as np
import pytest
from matplotlib.figure import Figure

from classifier.figures.mistakes import mistakes_figure
from classifier.results.predictions import find_mistakes
from tests.classifier.figures.helpers import predictions, words


def gallery(labels: list[int], predicted: list[int], most: int, channels: int = 3) -> Figure:
    found = predictions(labels, predicted)
    return mistakes_figure(found, find_mistakes(found, np.zeros((len(labels), 4, 4, channels), dtype=np.uint8)), most)


def test_the_gallery_shows_the_most_confident_mistakes_first() -> None:
    figure = gallery([0, 1, 2, 0], [1, 1, 0, 2], most=2)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["cat\ndog 90.0%", "eel\ncat 86.0%"]


@pytest.mark.parametrize("channels", [1, 3])
def test_the_gallery_takes_grey_images_and_fewer_mistakes_than_asked_for(channels: int) -> None:
    figure = gallery([0], [1], 24, channels)
    figure.draw_without_rendering()
    assert len(figure.axes) == 1


def test_the_title_of_a_gallery_of_one_mistake_is_not_cut_off() -> None:
    figure = gallery([0], [1], most=24)
    figure.draw_without_rendering()
    (title,) = figure.texts
    assert title.get_text().startswith("The most confident")
    assert 0 <= title.get_window_extent().x0 < title.get_window_extent().x1 <= figure.bbox.width


def test_a_model_without_mistakes_has_a_picture_that_says_so() -> None:
    assert "No mistakes" in words(gallery([0, 1], [0, 1], most=24))
