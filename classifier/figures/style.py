"""Colours, axes and files of all figures. Training is dashed with hollow points, validation solid with filled points."""

import io
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path
from matplotlib.ticker import FuncFormatter, MaxNLocator
from PIL import Image

TRAINING_COLOR = "#d97706"
VALIDATION_COLOR = "#1d4ed8"
INK = "#1f2937"  # of all text and lines
PALE = "#e5e7eb"  # of grids
SCORE_COLORS = {"precision": "#0f766e", "recall": "#1d4ed8", "F1": "#be185d"}
# Most cells of a confusion matrix are small shares, which need the most different colours.
SHARES: Colormap = LinearSegmentedColormap.from_list(
    "shares", [(0, "#ffffff"), (0.1, "#bfdbfe"), (0.5, "#3b82f6"), (1, "#1e3a8a")]
)


def short_name(name: str) -> str:
    """Return the name of a class; of one with more than 30 characters, the middle is left out."""
    return name if len(name) <= 30 else f"{name[:14]}…{name[-15:]}"


def text_width(text: str, size: float) -> float:
    """Return the width in inches of a text, whose longest line counts, in a font of `size` points.

    Rounding to pixels makes a text up to a tenth wider, which is included.
    """
    font = FontProperties(size=size)
    widths = [text_to_path.get_text_width_height_descent(line, font, ismath=False)[0] for line in text.split("\n")]
    return 1.1 * float(max(widths)) / 72


def style_axes(axes: Axes, x_label: str, y_label: str) -> None:
    """Label the axes of a chart and remove what is not data: upper and right border, tick marks."""
    axes.set_xlabel(x_label, color=INK)
    axes.set_ylabel(y_label, color=INK)
    axes.title.set_color(INK)
    axes.grid(color=PALE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, length=0)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(INK)


def show_epochs(axes: Axes, last: int) -> None:
    """Give a chart a horizontal axis of whole epochs, also when there is only one."""
    margin = 0.03 * (last - 1) or 0.5
    axes.set_xlim(1 - margin, last + margin)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def show_percent(axis: Axis) -> None:
    """Label an axis of shares in percent, with as many digits as tell one tick from the next."""
    axis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.6g}%"))


def save_figure(path: Path, dots_per_inch: int, draw: Callable[[], Figure]) -> None:
    """Draw a figure, and write it as a PNG of a third of the usual size, with at most 256 colours.

    Matplotlib's own defaults are used: the bytes do not depend on a matplotlibrc.
    """
    drawn = io.BytesIO()
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams["text.parse_math"] = False  # a name with two $ is no formula
        draw().savefig(drawn, format="png", dpi=dots_per_inch, pil_kwargs={"compress_level": 0})
    with Image.open(drawn) as opened:
        picture = opened.convert("RGB")
    # The improvement by k-means keeps grey images grey; dithering would make text unclear and the file larger.
    few = picture.quantize(256, Image.Quantize.MEDIANCUT, kmeans=4, dither=Image.Dither.NONE)
    few.save(path, "PNG", optimize=True)
