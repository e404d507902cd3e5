import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from classifier.figures.comparison import learning_curves
from classifier.results.comparison import Result
from classifier.results.learning_curve import Epoch
from tests.classifier.figures.test_learning_curve import CURVE, points


def drawn(names: list[str], curve: list[Epoch]) -> Figure:
    figure = learning_curves({name: [Result(name, {}, curve, {}, {})] for name in names})
    figure.draw_without_rendering()
    return figure


@pytest.mark.parametrize(
    "names",
    [
        ["initial", "_batchnorm", "augmented"],
        [f"variant-{number}" for number in range(13)],
        [f"digits-{'train.learning_rate-0.001-' * 5}{number}" for number in range(2)],
        [f"{'W' * 250}{number}" for number in range(2)],
        [f"variant-{number}" for number in range(60)],
    ],
    ids=["few", "many", "long", "wide", "very many"],
)
def test_the_legend_is_whole_and_its_colours_differ(names: list[str]) -> None:
    figure = drawn(names, CURVE)
    (legend,) = figure.legends
    labels = ["".join(text.get_text().split()) for text in legend.get_texts()]
    assert labels == [*names, "training", "validation", "bestepoch"]
    box = legend.get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.width
    assert box.y0 >= 0
    for axes in figure.axes:
        assert axes.get_window_extent().height > 0.4 * 4.8 * figure.dpi
        assert axes.get_window_extent().y0 >= box.y1
    assert len({to_hex(line.get_color()) for line in legend.get_lines()[: len(names)]}) == len(names)


def test_training_is_dashed_and_validation_solid() -> None:
    for axes in drawn(["initial"], CURVE).axes:
        assert [line.get_linestyle() for line in axes.get_lines()] == ["--", "-", "None"]


def test_a_training_of_one_epoch_shows_both_of_its_points() -> None:
    figure = drawn(["speedrun"], CURVE[:1])
    for axes, quantity in zip(figure.axes, ("loss", "accuracy"), strict=True):
        training, _, validation = axes.get_lines()
        assert points(training) == [(1, getattr(CURVE[0], f"train_{quantity}"))]
        assert (training.get_marker(), training.get_markerfacecolor()) == ("o", "white")
        assert points(validation) == [(1, getattr(CURVE[0], f"validation_{quantity}"))]
        assert (validation.get_marker(), validation.get_markerfacecolor()) == ("o", validation.get_color())
        ticks = [place for place in axes.get_xticks() if axes.get_xlim()[0] <= place <= axes.get_xlim()[1]]
        assert ticks == [1]
