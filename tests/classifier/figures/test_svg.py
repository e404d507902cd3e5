import re
from collections.abc import Callable
from xml.etree.ElementTree import Element, fromstring

import numpy as np
import pytest
from matplotlib.figure import Figure

from classifier.figures.certainty import coverage_figure, reliability_figure
from classifier.figures.class_scores import class_scores_figure
from classifier.figures.comparison import curve_figure
from classifier.figures.learning_curve import learning_curve_figure
from classifier.figures.style import COLORS
from classifier.figures.svg import marker_svg, svg
from classifier.figures.trade_off import trade_off_figure
from classifier.results.learning_curve import Epoch
from tests.classifier.figures.helpers import predictions
from tests.classifier.figures.test_learning_curve import CURVE
from tests.classifier.figures.test_trade_off import row

FOUND = predictions([0, 0, 0, 1, 1, 2], [0, 1, 1, 1, 0, 2])
CURVES = {"initial": [CURVE], "<script> & $x$": [CURVE, CURVE]}
FIGURES: dict[str, Callable[[], Figure]] = {
    "curves": lambda: curve_figure(CURVES, "loss"),
    "logarithmic": lambda: curve_figure(CURVES, "accuracy", logarithmic=True),
    "trade-off": lambda: trade_off_figure([row("initial", 0.7, 100), row("augmented", 0.8, 200)], "seconds"),
    "reliability": lambda: reliability_figure({"initial": FOUND}, 10),
    "coverage": lambda: coverage_figure({"initial": FOUND}),
    "learning curve": lambda: learning_curve_figure(CURVE),
    "scores": lambda: class_scores_figure(FOUND),
}


def ids(text: str) -> list[str]:
    return re.findall(r'\bid="([^"]+)"', text)


def parse(text: str) -> Element:
    return fromstring(text)  # noqa: S314


def parsed(name: str) -> Element:
    return parse(svg(FIGURES[name], "chart", "A title", "A description"))


@pytest.mark.parametrize("name", FIGURES)
def test_a_chart_is_one_element_of_a_page_with_variables_for_colours_and_unique_ids(name: str) -> None:
    text = svg(FIGURES[name], "a", "A title", "A description")
    assert text.startswith('<svg class="chart" id="a" viewBox="0 0 ')
    assert re.findall("#[0-9a-f]{6}", text) == []
    assert {*re.findall(r"var\(--([\w-]+)\)", text)} <= {*COLORS}
    assert "font-family" not in text
    assert "<style" not in text
    assert "xlink" not in text
    assert re.findall(r"\d\.\d{3,}(?!\d*\")", re.sub(r' data-[xy]="[^"]*"', "", text)) == []
    assert len({*ids(text)}) == len(ids(text))
    assert all(identity == "a" or identity.startswith("a-") for identity in ids(text))
    assert {*re.findall(r'(?:href="|url\()#([^")]+)', text)} <= {*ids(text)}


def test_the_same_figure_gives_the_same_text() -> None:
    one, again, other = (svg(FIGURES["curves"], prefix, "A title") for prefix in "aab")
    assert one == again
    assert not {*ids(one)} & {*ids(other)}, "which may stand on one page"


def test_a_chart_says_what_it_shows() -> None:
    element = parsed("curves")
    assert (element.get("role"), element.get("aria-label")) == ("img", "A title")
    (description,) = element.findall("desc")
    assert (description.get("id"), description.text) == (element.get("aria-describedby"), "A description")
    assert "aria-describedby" not in parse(svg(FIGURES["curves"], "chart", "A title")).attrib


def test_text_stays_text_and_is_escaped() -> None:
    texts = [text.text for text in parsed("curves").iter("text")]
    assert {"Loss", "epoch", "initial", "<script> & $x$"} <= {*texts}
    assert "<script>" not in svg(FIGURES["curves"], '"><script>', '"><script>', "<script>")


def test_all_that_belongs_to_a_revision_has_its_class() -> None:
    element = parsed("curves")
    groups = {group.get("id") for group in element.iter("g") if group.get("class") == "revision-1"}
    parts = ("training-0", "training-1", "validation-0", "validation-1", "best-0", "best-1", "name")
    assert groups == {f"chart-revision-1-{part}" for part in parts}
    for color, group in (("revision-0", "revision-1"), ("revision-1", "revision-0")):
        assert all(
            f"var(--{color})" not in str(each.attrib)
            for one in element.iter("g")
            if one.get("class") == group
            for each in one.iter()
        )


@pytest.mark.parametrize("name", ["curves", "logarithmic"])
def test_the_place_of_a_value_follows_from_that_of_the_axes(name: str) -> None:
    element = parsed(name)
    (panel,) = (group for group in element.iter("g") if "data-box" in group.attrib)
    assert panel.get("id") == "chart-panel-0"
    left, top, width, height = map(float, panel.attrib["data-box"].split())
    (x_low, x_high), (y_low, y_high) = (np.array(panel.attrib[f"data-{axis}"].split(), dtype=float) for axis in "xy")
    assert panel.get("data-x-scale") == "linear"
    if panel.get("data-y-scale") == "log":
        y_low, y_high = np.log([y_low, y_high])
        values = [np.log(1 - epoch.validation_accuracy) for epoch in CURVE]
    else:
        values = [epoch.validation_loss for epoch in CURVE]
    expected = [
        (left + width * (epoch.epoch - x_low) / (x_high - x_low), top + height * (y_high - value) / (y_high - y_low))
        for epoch, value in zip(CURVE, values, strict=True)
    ]
    (line,) = (group for group in element.iter("g") if group.get("id") == "chart-revision-0-validation-0")
    path = line.findall("path")[0].attrib["d"]
    assert np.array(re.findall(r"[\d.]+", path), dtype=float).reshape(-1, 2) == pytest.approx(np.array(expected), abs=0.05)


def test_charts_are_small() -> None:
    long = [Epoch(number, 1 / number, 1.1 / number, 0.5, 0.6, 0.1) for number in range(1, 201)]
    text = svg(lambda: curve_figure({str(number): [long] for number in range(8)}, "loss"), "a", "A title")
    assert len(text) < 100_000


@pytest.mark.parametrize("number", range(8))
def test_the_marker_of_a_revision_stands_in_a_legend_in_its_colour(number: int) -> None:
    element = parse(marker_svg(number))
    (path,) = element
    assert (element.get("aria-hidden"), path.get("style")) == ("true", f"fill: var(--revision-{number})")
    assert re.fullmatch(r"M[\d. -]+([LCQ][\d. -]+)+Z", path.attrib["d"])
    coordinates = np.array(re.findall(r"-?[\d.]+", path.attrib["d"]), dtype=float)
    assert np.abs(coordinates).max() <= 0.8
    assert len({marker_svg(each) for each in range(9)}) == 9
