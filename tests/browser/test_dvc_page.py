"""The page of `dvc plots diff`, with the template .dvc/plots/offline.html and the charts of .dvc/plots."""

from __future__ import annotations

import json
import shutil
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
def study(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: ARG001
    """DVC's page for the published study, in a clone in which nothing was trained."""
    clone = Repository.clone(tmp_path_factory.mktemp("study") / "clone")
    shutil.copytree(ROOT / ".dvc/plots", clone.folder / ".dvc/plots", dirs_exist_ok=True)
    clone.dvc("plots", "diff", *STUDY)
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
