from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from classifier.figures.style import save_figure, show_percent


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
