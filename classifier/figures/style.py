"""Colours, axes and files of all figures. Training is dashed with hollow points, validation solid with filled points."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, to_hex, to_rgba, to_rgba_array
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from PIL import Image

TRAINING_COLOR = "#d97706"
VALIDATION_COLOR = "#1d4ed8"
INK = "#1f2937"  # of all text and lines
PALE = "#e5e7eb"  # of grids
SCORE_COLORS = {"precision": "#0f766e", "recall": "#1d4ed8", "F1": "#be185d"}
# Of the first, second, ... revision, on a light and on a dark background: any two differ with each colour blindness, too.
REVISION_COLORS = (
    ("#263f9d", "#5b8def"),
    ("#9d4100", "#fb923c"),
    ("#127a48", "#7bb985"),
    ("#d43b88", "#ff40a6"),
    ("#9333ea", "#8744c9"),
    ("#0e9bb5", "#4cd5ee"),
    ("#663524", "#a87445"),
    ("#84910b", "#e2e41f"),
)
REVISION_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
# Every colour of a figure by the name of its CSS variable, on a light and on a dark background. Figures are drawn in the first.
COLORS: Mapping[str, tuple[str, str]] = {
    "background": ("#ffffff", "#0d1117"),
    "ink": (INK, "#e6edf3"),
    "grid": (PALE, "#30363d"),
    "training": (TRAINING_COLOR, "#f59e0b"),
    "validation": (VALIDATION_COLOR, "#6ea8fe"),
    "precision": (SCORE_COLORS["precision"], "#2dd4bf"),
    "f1": (SCORE_COLORS["F1"], "#f472b6"),
    **{f"revision-{number}": pair for number, pair in enumerate(REVISION_COLORS)},
}
# Most cells of a confusion matrix are small shares, which need the most different colours.
SHARES: Colormap = LinearSegmentedColormap.from_list(
    "shares", [(0, "#ffffff"), (0.1, "#bfdbfe"), (0.5, "#3b82f6"), (1, "#1e3a8a")]
)
DARK_SHARES: Colormap = LinearSegmentedColormap.from_list(
    "dark_shares", [(0, "#0d1117"), (0.1, "#1e3a5f"), (0.5, "#2563eb"), (1, "#bfdbfe")]
)


def revision_style(number: int) -> tuple[str, str]:
    """Return the colour and the marker of a revision, counted from 0; from the ninth on, colours have other markers."""
    turn, color = divmod(number, len(REVISION_COLORS))
    return REVISION_COLORS[color][0], REVISION_MARKERS[(color + turn) % len(REVISION_MARKERS)]


def css_variables(dark: bool = False) -> str:
    """Return declarations of the CSS variables of all colours."""
    return " ".join(f"--{name}: {pair[dark]};" for name, pair in COLORS.items())


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


def show_logarithmic(axis: Axis) -> None:
    """Label a logarithmic axis that has its limits with plain numbers: a few also where it spans little."""
    low, high = axis.get_view_interval()
    subs = (1.0,) if high > 1000 * low else (1.0, 2.0, 5.0)
    axis.set_major_locator(LogLocator(subs=subs) if high > 5 * low else MaxNLocator(3))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:,.10g}"))


def to_dark(figure: Figure) -> None:
    """Replace the colours of a figure by those on a dark background."""
    figure.draw_without_rendering()  # ticks and their labels exist from then on
    for artist in figure.findobj():
        if isinstance(artist, ScalarMappable) and artist.get_array() is not None:
            if artist.get_cmap() == SHARES:
                artist.set_cmap(DARK_SHARES)
            continue
        for name in ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor"):
            if hasattr(artist, f"get_{name}") and hasattr(artist, f"set_{name}"):
                getattr(artist, f"set_{name}")(_dark(getattr(artist, f"get_{name}")()))


def _dark(color: Any) -> Any:
    """Return a colour, or those of a collection, on a dark background."""
    dark = dict(COLORS.values()) | {"#000000": COLORS["ink"][1]}
    colors = to_rgba_array(color)
    for each in colors:
        each[:3] = to_rgba(dark.get(to_hex(each), tuple(each)))[:3]
    return color if len(colors) == 0 else colors[0] if len(colors) == 1 else colors


def png(draw: Callable[[], Figure], dots_per_inch: int, dark: bool = False) -> bytes:
    """Draw a figure as a PNG of a third of the usual size, with at most 256 colours.

    Matplotlib's own defaults are used: the bytes do not depend on a matplotlibrc.
    """
    drawn, small = io.BytesIO(), io.BytesIO()
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams["text.parse_math"] = False  # a name with two $ is no formula
        figure = draw()
        if dark:
            to_dark(figure)
        figure.savefig(drawn, format="png", dpi=dots_per_inch, pil_kwargs={"compress_level": 0})
    with Image.open(drawn) as opened:
        picture = opened.convert("RGB")
    # The improvement by k-means keeps grey images grey; dithering would make text unclear and the file larger.
    few = picture.quantize(256, Image.Quantize.MEDIANCUT, kmeans=4, dither=Image.Dither.NONE)
    few.save(small, "PNG", optimize=True)
    return small.getvalue()


def save_figure(path: Path, dots_per_inch: int, draw: Callable[[], Figure]) -> None:
    """Draw a figure, and write it as a PNG file."""
    path.write_bytes(png(draw, dots_per_inch))
