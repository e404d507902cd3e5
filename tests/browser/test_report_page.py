"""The page of `make report` for the published study, with test images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from classifier.data.split import Split, save_split
from classifier.results.predictions import load_predictions
from tests.browser.pages import brightness, overflow, printed, violations
from tests.pipeline.repository import Repository

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
STUDY = ["initial", "batchnorm", "augmented"]
# Cats taken for dogs by the best design: they are the fourth and the sixth class.
CELL = "#matrix-0-3-5"


@pytest.fixture(scope="module")
def report(clone: Repository) -> Path:
    """The report, with an image of one colour for each test image."""
    labels = load_predictions(clone.folder / "docs/study/experiments/augmented/data/predictions.npz").labels
    colors = np.random.default_rng(0).integers(256, size=(len(labels), 1, 1, 3), dtype=np.uint8)
    md5 = clone.hashes("augmented")["data/processed/test.safetensors"]
    save_split(Split(np.tile(colors, (1, 32, 32, 1)), labels), clone.folder / f".dvc/cache/files/md5/{md5[:2]}/{md5[2:]}")
    clone.real("tools.report", *STUDY)
    return clone.folder / "report/index.html"


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_accessible_with_a_cell_open(visit: Callable[..., Page], report: Path, scheme: str, width: int) -> None:
    page = visit(report, scheme=scheme, width=width)
    page.locator(CELL).get_by_role("button").click()
    assert page.locator("#cell .picture").count() > 0
    for details in page.locator("details > summary").all():
        details.click()
    assert violations(page) == []
    assert overflow(page) <= 0
    assert (brightness(page.screenshot()) < 0.5) == (scheme == "dark")


def test_the_keyboard_alone_opens_the_images_of_a_cell(visit: Callable[..., Page], report: Path) -> None:
    page = visit(report)
    focused = page.locator(":focus")
    stops: list[str] = []
    while not stops or stops[-1] != "page-end":
        page.keyboard.press("Tab")
        stops.append(page.evaluate(STOP))
        assert len(stops) < 500
    assert stops.count("matrix-0") == 1, "a matrix is one stop"

    page.locator(f"{CELL} button").evaluate("button => button.closest('table').querySelector('[tabindex=\"0\"]').focus()")
    before = page.evaluate("document.activeElement.closest('td').id")
    for key in ("ArrowDown", "ArrowRight"):
        page.keyboard.press(key)
    assert page.evaluate("document.activeElement.closest('td').id") != before
    opened = focused.get_attribute("aria-label")
    page.keyboard.press("Enter")
    assert page.locator("#cell-title").is_visible()
    assert opened
    assert opened.startswith(page.locator("#cell-title").inner_text())
    page.keyboard.press("Escape")
    assert page.locator("#cell").is_hidden()
    assert focused.get_attribute("aria-label") == opened


STOP = """() => {
  const table = document.activeElement.closest('.matrix');
  return document.activeElement === document.body ? 'page-end' : table ? table.parentElement.id : document.activeElement.id;
}"""


def test_without_javascript_all_that_matters_is_there(visit: Callable[..., Page], report: Path) -> None:
    page = visit(report, javascript=False)
    text = page.locator("main").inner_text()
    assert all(name in text for name in STUDY)
    assert page.locator(f"{CELL}").inner_text()
    assert page.locator(".curves svg.chart").first.is_visible()
    assert page.locator("[aria-labelledby=images] .picture:visible").count() > 0


def test_printed_from_dark_mode_it_is_light_and_whole(visit: Callable[..., Page], report: Path) -> None:
    page = visit(report, scheme="dark")
    text, sheets = printed(page)
    assert all(brightness(sheet) > 0.9 for sheet in sheets)
    assert all(np.asarray(sheet.convert("L"))[:, -4:].min() > 250 for sheet in sheets), "nothing reaches the right edge"
    assert all(name in text for name in STUDY)
    assert set(page.locator("#matrix-0 .matrix td[id] small").all_inner_texts()) <= set(text.split())
    colored = [np.ptp(np.asarray(sheet, dtype=int), axis=2) > 100 for sheet in sheets]
    assert sum(int(pixels.sum()) for pixels in colored) > 20_000, "the pictures are visible"
