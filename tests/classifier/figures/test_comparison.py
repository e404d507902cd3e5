import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from classifier.figures.comparison import curve_figure, learning_curves
from classifier.results.learning_curve import Epoch
from tests.classifier.figures.helpers import assert_readable, words
from tests.classifier.figures.test_learning_curve import CURVE, points


def drawn(names: list[str], curve: list[Epoch]) -> Figure:
    figure = learning_curves({name: [curve] for name in names})
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
def test_the_legend_is_whole_and_its_lines_differ(names: list[str]) -> None:
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
    lines = legend.get_lines()[: len(names)]
    assert len({(to_hex(line.get_color()), line.get_marker()) for line in lines}) == len(names)


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


def test_a_revision_has_one_colour_and_marker_and_its_ids_in_every_chart() -> None:
    figure = curve_figure({"initial": [], "augmented": [CURVE, CURVE]}, "loss")
    lines = figure.axes[0].get_lines()
    assert [line.get_gid() for line in lines] == [
        f"revision-1-{part}-{seed}" for seed in (0, 1) for part in ("training", "validation", "best")
    ]
    assert len({to_hex(line.get_color()) for line in lines}) == 1
    assert [line.get_marker() for line in lines] == ["s", "s", "s", "", "", "s"]
    assert [text.get_gid() for text in figure.axes[0].texts] == ["revision-1-name"]


def test_names_stand_at_the_ends_of_their_lines_without_overlap() -> None:
    names = ["initial", "batchnorm", "augmented", "smoothing"]
    ends = [0.51, 0.5, 0.505, 0.9]
    curves = {name: [[*CURVE[:2], Epoch(3, 1, end, 0.5, 0.5, 0.1)]] for name, end in zip(names, ends, strict=True)}
    figure = curve_figure(curves, "loss")
    assert_readable(figure)
    (axes,) = figure.axes
    boxes = [text.get_window_extent() for text in axes.texts]
    assert [text.get_text() for text in axes.texts] == names
    assert all(box.x0 >= axes.bbox.x0 + 0.9 * axes.bbox.width for box in boxes)
    middles = [(box.y0 + box.y1) / 2 for box in boxes]
    assert np.argsort(middles).tolist() == np.argsort(ends).tolist()
    assert middles[3] == pytest.approx(axes.transData.transform((3, 0.9))[1], abs=3)


def test_where_names_have_no_room_there_are_none() -> None:
    assert len(curve_figure({"W" * 40: [CURVE]}, "loss").axes[0].texts) == 0
    many = curve_figure({f"variant-{number}": [CURVE] for number in range(60)}, "loss")
    assert_readable(many)
    assert 5 < len(many.axes[0].texts) < 30


@pytest.mark.parametrize("quantity", ["loss", "accuracy"])
def test_a_logarithmic_chart_shows_the_loss_or_the_error(quantity: str) -> None:
    perfect = Epoch(3, 0, 0.01, 1, 0.99, 0.1)
    figure = curve_figure({"initial": [[*CURVE[:2], perfect]]}, quantity, logarithmic=True)  # type: ignore[arg-type]
    assert_readable(figure)
    (axes,) = figure.axes
    assert axes.get_yscale() == "log"
    values = [value for _, value in points(axes.get_lines()[1])]
    expected = [1.8, 1.4, 0.01] if quantity == "loss" else [0.6, 0.4, 0.01]
    assert values == pytest.approx(expected)
    assert ("Error" in words(figure)) == (quantity == "accuracy")
    assert axes.get_ylim()[0] > 1e-4, "a perfect training does not squeeze the chart"


def test_a_training_that_has_no_epoch_yet_has_an_empty_chart() -> None:
    assert_readable(curve_figure({"initial": []}, "loss"))
