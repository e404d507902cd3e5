"""Chromium, in which every host is blocked: an installed one, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.pipeline.repository import Repository

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

MISSING_PACKAGES = "the packages of the extra `browser` are missing: make setup EXPORT=1"
WAIT = 120_000  # milliseconds after which what a page should show counts as missing, on the slowest of machines
LOCAL = ("file:", "data:", "blob:", "http://127.0.0.1:")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The browser of all tests of a process."""
    playwright = pytest.importorskip("playwright.sync_api", reason=MISSING_PACKAGES)
    for package in ("axe_playwright_python", "pypdfium2"):
        pytest.importorskip(package, reason=MISSING_PACKAGES)
    with playwright.sync_playwright() as driver:
        names = ("chromium", "chromium-browser", "google-chrome", "chrome")
        program = next(filter(None, map(shutil.which, names)), driver.chromium.executable_path)
        if not Path(program).exists():
            pytest.skip(f"no Chromium: none of {', '.join(names)} is in the PATH")
        blocked = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
        started = driver.chromium.launch(executable_path=program, args=[blocked], timeout=WAIT)
        yield started
        started.close()


@pytest.fixture(scope="session")
def clone(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Repository:  # noqa: ARG001
    """A clone of this project after set-up, with the published study, in which nothing was trained."""
    return Repository.clone(tmp_path_factory.mktemp("browser") / "clone")


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open a page; after the test, there must have been no request of another host and no error in the console."""
    problems: list[str] = []

    def open_page(address: Path | str, *, width: int = 1280, scheme: str = "light", javascript: bool = True) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, java_script_enabled=javascript
        )
        context.set_default_timeout(WAIT)
        page = context.new_page()
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: None if request.url.startswith(LOCAL) else problems.append(request.url))
        page.on("requestfailed", lambda request: problems.append(f"{request.url}: {request.failure}"))
        page.goto(address.as_uri() if isinstance(address, Path) else address)
        return page

    yield open_page
    for context in browser.contexts:
        context.close()
    assert not problems, problems
