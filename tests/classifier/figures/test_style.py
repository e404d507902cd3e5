import io
from itertools import combinations
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axis import Axis
from matplotlib.colors import to_hex, to_rgba_array
from matplotlib.figure import Figure
from PIL import Image

from classifier.figures.class_scores import class_scores_figure
from classifier.figures.confusion_matrix import confusion_matrix_figure
from classifier.figures.learning_curve import learning_curve_figure
from classifier.figures.style import (
    COLORS,
    DARK_SHARES,
    REVISION_COLORS,
    REVISION_MARKERS,
    css_variables,
    png,
    revision_style,
    save_figure,
    show_logarithmic,
    show_percent,
    to_dark,
)
from tests.classifier.figures.color_vision import VISION, cam02_ucs, contrast, difference
from tests.classifier.figures.helpers import predictions
from tests.classifier.figures.test_learning_curve import CURVE


def drawing() -> Figure:
    """A figure of many colours with text."""
    figure = Figure(figsize=(3, 2), layout="constrained")
    axes = figure.subplots()
    axes.imshow(np.random.default_rng(0).random((20, 30, 3)))
    axes.set_title("a title")
    return figure


def test_a_picture_has_few_colours_and_no_metadata(tmp_path: Path) -> None:
    save_figure(tmp_path / "a.png", 100, drawing)
    with Image.open(tmp_path / "a.png") as picture:
        assert (picture.mode, picture.size) == ("P", (300, 200))
        assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
        assert picture.info == {}


def test_settings_of_matplotlib_do_not_change_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_figure(tmp_path / "a.png", 100, drawing)
    monkeypatch.setitem(mpl.rcParams, "font.size", 20.0)
    monkeypatch.setitem(mpl.rcParams, "figure.facecolor", "black")
    monkeypatch.setitem(mpl.rcParams, "savefig.bbox", "tight")
    save_figure(tmp_path / "b.png", 100, drawing)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert mpl.rcParams["font.size"] == 20


@pytest.mark.parametrize(("low", "high"), [(0.1, 0.9), (0.978, 0.983), (0.9999, 1.0)])
def test_no_two_ticks_of_an_axis_in_percent_are_equal(low: float, high: float) -> None:
    figure = Figure()
    axes = figure.subplots()
    axes.plot([low, high])
    show_percent(axes.yaxis)
    figure.draw_without_rendering()
    ticks = [tick.get_text() for tick in axes.get_yticklabels()]
    assert len(ticks) > 2
    assert len({*ticks}) == len(ticks)
    assert all(tick.endswith("%") for tick in ticks)


@pytest.mark.parametrize(("low", "high"), [(0.3, 0.9), (0.02, 0.5), (1e-4, 2), (150, 480), (919_930, 919_930)])
def test_a_logarithmic_axis_has_a_few_plain_numbers(low: float, high: float) -> None:
    figure = Figure()
    axes = figure.subplots()
    axes.plot([low, high])
    axes.set_yscale("log")
    show_logarithmic(axes.yaxis)
    figure.draw_without_rendering()
    ticks = visible_ticks(axes.yaxis)
    assert 2 <= len(ticks) <= 10
    assert all(float(tick.replace(",", "")) > 0 for tick in ticks)


def visible_ticks(axis: Axis) -> list[str]:
    low, high = axis.get_view_interval()
    return [tick.label1.get_text() for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]


def test_the_distance_of_colours_is_that_of_colorspacious() -> None:
    assert cam02_ucs("#263f9d") == pytest.approx([31.312, -4.214, -28.586], abs=0.01)
    assert cam02_ucs("#5b8def", "deuteranopia") == pytest.approx([58.863, -8.495, -30.129], abs=0.01)


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("dark", [False, True])
def test_the_colours_of_any_two_revisions_differ_also_with_colour_blindness(dark: bool, vision: str) -> None:
    colors = [pair[dark] for pair in REVISION_COLORS]
    assert len(colors) == 8
    assert [pair for pair in combinations(colors, 2) if difference(*pair, vision) < 10] == []


@pytest.mark.parametrize("dark", [False, True])
def test_lines_and_text_stand_out_from_the_background(dark: bool) -> None:
    background = COLORS["background"][dark]
    lines = {name: pair[dark] for name, pair in COLORS.items() if name not in ("background", "grid")}
    assert [name for name, color in lines.items() if contrast(color, background) < 3] == []
    assert contrast(lines["ink"], background) > 7


def test_each_of_many_revisions_has_a_style_of_its_own() -> None:
    assert len({*REVISION_MARKERS}) == 8
    assert len({revision_style(number) for number in range(64)}) == 64
    assert len({color for color, _ in map(revision_style, range(8))}) == 8
    assert len({marker for _, marker in map(revision_style, range(8))}) == 8


def test_every_colour_has_a_name_and_a_value_on_both_backgrounds() -> None:
    assert len({light for light, _ in COLORS.values()}) == len(COLORS)
    assert "--background: #ffffff;" in css_variables()
    assert "--background: #0d1117;" in css_variables(dark=True)
    assert css_variables().count("--revision-") == 8


def used_colors(figure: Figure) -> set[str]:
    figure.draw_without_rendering()
    names = ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor")
    uncoded = (artist for artist in figure.findobj() if getattr(artist, "get_array", lambda: None)() is None)
    artists = [artist for artist in uncoded if artist.get_visible()]
    found = [getattr(artist, f"get_{name}")() for artist in artists for name in names if hasattr(artist, f"get_{name}")]
    return {to_hex(color) for colors in found for color in to_rgba_array(colors) if color[3] > 0}


def test_every_colour_of_a_figure_has_a_counterpart_on_a_dark_background() -> None:
    found = predictions([0, 0, 0, 1, 1, 2], [0, 1, 1, 1, 0, 2])
    for figure in (learning_curve_figure(CURVE), confusion_matrix_figure(found, 2), class_scores_figure(found)):
        assert used_colors(figure) <= {light for light, _ in COLORS.values()} | {"#000000"}
        to_dark(figure)
        assert used_colors(figure) <= {dark for _, dark in COLORS.values()}
        assert all(image.get_cmap() == DARK_SHARES for axes in figure.axes for image in axes.get_images())


def test_numbers_in_a_dark_matrix_stand_out_from_their_cells() -> None:
    """White becomes the background there, ink stays ink: above a half and below it."""
    assert contrast(to_hex(DARK_SHARES(0.501)), COLORS["background"][1]) > 3
    assert min(contrast(to_hex(DARK_SHARES(share)), COLORS["ink"][1]) for share in np.linspace(0, 0.5, 20)) > 3


def test_a_dark_picture_has_the_size_of_the_light_one() -> None:
    light, dark = (
        Image.open(io.BytesIO(png(lambda: learning_curve_figure(CURVE), 50, dark))).convert("RGB") for dark in (False, True)
    )
    assert light.size == dark.size
    assert light.getpixel((0, 0)) == (255, 255, 255)
    assert np.abs(np.asarray(dark)[0, 0] - np.array([13, 17, 23])).max() < 5
