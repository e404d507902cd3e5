"""The page of `dvc plots diff`, with the template .dvc/plots/offline.html and the charts of .dvc/plots."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.pages import brightness, contrast, overflow, printed, violations
from tests.conftest import ROOT
from tests.pipeline.repository import Repository

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
STUDY = ["initial", "batchnorm", "augmented"]
CHARTS = ["Loss", "Accuracy", "Confusions", "plots_learning_curve_csv", "plots_confusion_matrix_csv"]
DRAWN = "count => document.querySelectorAll('main > .vega-embed > svg').length === count"


@pytest.fixture(scope="module")
def study(clone: Repository) -> Path:
    """DVC's page for the published study."""
    clone.real("dvc", "plots", "diff", *STUDY)
    return clone.folder / "dvc_plots/index.html"


@pytest.mark.parametrize("width", [1280, 600])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_study_is_drawn_accessibly(visit: Callable[..., Page], study: Path, scheme: str, width: int) -> None:
    page = visit(study, scheme=scheme, width=width)
    page.wait_for_function(DRAWN, arg=len(CHARTS))
    assert page.eval_on_selector_all("main > .vega-embed", "cards => cards.map(card => card.id)") == CHARTS
    page.hover("#Loss svg", position={"x": 200, "y": 150})
    page.wait_for_selector("#vg-tooltip-element.visible")
    assert violations(page) == []
    assert overflow(page) <= 0
    names = page.eval_on_selector_all("main > div > div > img", "images => images.map(image => image.alt)")
    assert names == [f"plots/{name}.png of {each}" for name in PICTURES for each in STUDY]
    dark = scheme == "dark"
    assert [brightness(card.screenshot()) < 0.5 for card in page.locator("main > .vega-embed").all()] == [dark] * len(CHARTS)
    assert all(contrast(colors) >= 4.5 for colors in page.evaluate(COLORS)), "of text on its card"


PICTURES = ["class_scores", "confusion_matrix", "learning_curve", "mistakes"]
COLORS = """[...document.querySelectorAll('main > .vega-embed:not(.matrix) text')].map(
  text => [getComputedStyle(text).fill, getComputedStyle(text.closest('main > div')).backgroundColor])"""


def test_printed_from_dark_mode_it_is_light_and_whole(visit: Callable[..., Page], study: Path) -> None:
    page = visit(study, scheme="dark")
    page.wait_for_function(DRAWN, arg=len(CHARTS))
    text, sheets = printed(page)
    assert all(brightness(sheet) > 0.9 for sheet in sheets)
    assert all(text.count(name) >= 4 for name in STUDY)
    assert "share of the true class" in text


def rows(revisions: list[str], epochs: int) -> list[dict[str, str]]:
    """The data of a chart of two columns of a learning curve."""
    return [
        {"epoch": str(epoch), "rev": name, "filename": "curve.csv", "field": field, "loss": str((place + 2) / epoch)}
        for place, name in enumerate(revisions)
        for field in ("train_loss", "validation_loss")
        for epoch in range(1, epochs + 1)
    ]


def matrices(revisions: list[str], classes: int) -> list[dict[str, str]]:
    """The data of a confusion matrix for each revision."""
    names = [f"class {number}" for number in range(classes)]
    return [
        {"actual": actual, "predicted": predicted, "count": "9" if actual == predicted else "1", "rev": name}
        for name in revisions
        for actual in names
        for predicted in names
    ]


def charts(revisions: list[str], epochs: int = 5, classes: int = 10) -> list[Any]:
    """What DVC draws with each template of this project."""
    from dvc_render.vega import VegaRenderer

    common: dict[str, Any] = {"template_dir": str(ROOT / ".dvc/plots")}
    columns = [{"filename": "curve.csv", "field": field} for field in ("train_loss", "validation_loss")]
    curve = {"template": "learning_curve", "x": "epoch", "y": "loss", "anchors_y_definitions": columns, "title": "Loss"}
    cells = {"x": "predicted", "y": "actual"}
    return [
        VegaRenderer(rows(revisions, epochs), "Loss", **common, **curve),
        *(
            VegaRenderer(matrices(revisions, classes), name, **common, **cells, template=name, title=name)
            for name in ("confusions", "confusion_matrix")
        ),
    ]


@pytest.mark.parametrize(
    ("revisions", "epochs", "classes"),
    [(["one"], 1, 2), (["one", "two", "three", "four"], 3, 10), (["one", "two"], 2, 100)],
    ids=["one epoch", "four revisions", "100 classes"],
)
def test_few_epochs_many_revisions_and_many_classes_have_room(
    visit: Callable[..., Page], tmp_path: Path, revisions: list[str], epochs: int, classes: int
) -> None:
    from dvc_render.html import render_html

    path = tmp_path / "index.html"
    render_html(charts(revisions, epochs, classes), path, ROOT / ".dvc/plots/offline.html")
    page = visit(path, width=600)
    page.wait_for_function(DRAWN, arg=3)
    points = page.locator("#Loss .mark-symbol.role-mark path")
    assert points.count() == 2 * epochs * len(revisions)
    assert page.locator("#confusion_matrix .mark-rect.role-mark path").count() == classes**2 * len(revisions)
    assert overflow(page) <= 0


DRAW = """async ([spec, config]) => {
  const place = document.body.appendChild(document.createElement('div'));
  place.style = 'width: 400px; height: 300px';
  const view = new vega.View(vega.parse(vegaLite.compile(spec, {config}).spec), {renderer: 'svg', container: place});
  await view.runAsync();
  return place.querySelectorAll('.role-mark path').length;
}"""
CONFIG = {  # of the VS Code extension for DVC
    "axis": {"domain": False, "gridOpacity": 0.25, "tickColor": "var(--vscode-foreground)"},
    "mark": {"stroke": "var(--vscode-foreground)"},
    "style": {"guide-label": {"fill": "var(--vscode-foreground)"}},
}


@pytest.mark.parametrize("focused", [False, True])
def test_the_templates_hold_in_vs_code(visit: Callable[..., Page], study: Path, focused: bool) -> None:
    """Its extension for DVC fills the anchors itself, with the size of its own boxes, and a legend and zoom only on demand."""
    page = visit(study)
    for chart in charts(["one", "two"]):
        content, definitions = chart.get_partial_filled_template()
        anchors = definitions["anchor_definitions"]
        size = 300 if "facet" in content else "container"
        zoom = {"name": "grid", "select": "interval", "bind": "scales"} if focused else {}
        anchors |= dict.fromkeys(["<DVC_METRIC_PLOT_WIDTH>", "<DVC_METRIC_PLOT_HEIGHT>"], size)
        anchors |= {"<DVC_METRIC_ZOOM_AND_PAN>": zoom}
        if not focused and "<DVC_METRIC_COLOR>" in anchors:
            anchors["<DVC_METRIC_COLOR>"] |= {"legend": None}
        assert page.evaluate(DRAW, [filled(content, anchors), CONFIG]) >= 20


def filled(value: Any, anchors: dict[str, Any]) -> Any:
    """Return a template whose anchors are replaced where they are a whole value."""
    if isinstance(value, dict):
        return {key: filled(item, anchors) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, anchors) for item in value]
    return anchors.get(value, value) if isinstance(value, str) else value
