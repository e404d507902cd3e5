"""The page of `make watch`, for training runs in every state."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.pages import brightness, overflow, printed, violations
from tests.tools.runs import dead_process, remove_run, write_run
from tools.runs import Runs
from tools.watch import open_server

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
NAMES = ["running", "killed", "one epoch", "<script>", "damaged"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files of a run in every state but the last one, that it ended."""
    folder = tmp_path / "checkpoints"
    write_run(folder, "running", done=3)
    write_run(folder, "killed", done=2, process=dead_process())
    write_run(folder, "one epoch", done=0, epochs=1)
    write_run(folder, "%3Cscript%3E", done=1)
    write_run(folder, "damaged", done=1, epochs=0)
    return folder


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    """The address of the page; a test asks for it before `visit`, so that the page is closed before its server."""
    with open_server(0, Runs(folder)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_accessible(address: str, visit: Callable[..., Page], scheme: str, width: int) -> None:
    page = visit(address, scheme=scheme, width=width)
    page.locator("article").nth(len(NAMES) - 1).wait_for()
    assert sorted(page.locator("article h2").all_inner_texts()) == sorted(NAMES)
    assert page.locator("article svg[role=img]").count() == 2 * 3, "loss and accuracy of runs with a curve"
    assert violations(page) == []
    assert overflow(page) <= 0
    assert (brightness(page.screenshot()) < 0.5) == (scheme == "dark")


def test_it_follows_a_run_to_its_end_and_pauses_by_keyboard(address: str, visit: Callable[..., Page], folder: Path) -> None:
    page = visit(address)
    card = page.locator("article", has=page.get_by_role("heading", name="running"))
    card.get_by_text("3 of 4 epochs done").wait_for()
    remove_run(folder, "running")
    card.get_by_text("The training is complete").wait_for()
    page.get_by_text("running has ended.").wait_for()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.locator(":focus").inner_text() == "Resume updates"


def test_printed_from_dark_mode_it_is_light(address: str, visit: Callable[..., Page]) -> None:
    page = visit(address, scheme="dark")
    page.locator("article").nth(len(NAMES) - 1).wait_for()
    text, sheets = printed(page)
    assert all(brightness(sheet) > 0.9 for sheet in sheets)
    assert all(name in text for name in NAMES)


def test_without_javascript_it_says_so(address: str, visit: Callable[..., Page]) -> None:
    assert "needs JavaScript" in visit(address, javascript=False).locator("main").inner_text()
