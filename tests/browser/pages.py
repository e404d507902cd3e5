"""What is asked of every page."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Page


def violations(page: Page) -> list[str]:
    """Return what axe-core finds: the rule, and the elements that break it."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [f"{each['id']}: {[node['target'] for node in each['nodes'][:3]]}" for each in found]


def overflow(page: Page) -> int:
    """Return by how many pixels the page is wider than the window."""
    found: int = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    return found


def brightness(pixels: bytes | Image.Image) -> float:
    """Return the median brightness of a picture, from 0 for black to 1 for white."""
    picture = Image.open(io.BytesIO(pixels)) if isinstance(pixels, bytes) else pixels
    return float(np.median(np.asarray(picture.convert("L")))) / 255


def contrast(colors: Sequence[str]) -> float:
    """Return the contrast of two colours as CSS computes them (`rgb(1, 2, 3)`), as WCAG defines it: from 1 to 21."""
    luminances = []
    for color in colors:
        shares = np.array([int(part) for part in color.partition("(")[2].rstrip(")").split(",")[:3]]) / 255
        linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
        luminances.append(linear @ [0.2126, 0.7152, 0.0722])
    low, high = sorted(luminances)
    return float((high + 0.05) / (low + 0.05))


def printed(page: Page) -> tuple[str, list[Image.Image]]:
    """Return the text and the sheets of the page as a browser prints it by default: A4, without background graphics."""
    from pypdfium2 import PdfDocument

    with PdfDocument(page.pdf(format="A4")) as document:
        text = "\n".join(sheet.get_textpage().get_text_bounded() for sheet in document)
        return text, [sheet.render(scale=1).to_pil() for sheet in document]
