"""Colours and axes of all figures."""

from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap

TRAINING_COLOR = "#d97706"
VALIDATION_COLOR = "#1d4ed8"
INK = "#1f2937"  # of all text and lines
PALE = "#e5e7eb"  # of grids
SCORE_COLORS = {"precision": "#0f766e", "recall": "#1d4ed8", "F1": "#be185d"}
SHARES: Colormap = LinearSegmentedColormap.from_list("shares", ["#ffffff", "#bfdbfe", "#3b82f6", "#1e3a8a"])


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
