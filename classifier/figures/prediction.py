"""A photo beside bars of its most likely classes."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from PIL import Image

from classifier.figures.style import INK, SCORE_COLORS, show_percent, style_axes


def prediction_figure(photo: Image.Image, title: str, names: Sequence[str], probabilities: Sequence[float]) -> Figure:
    """Show a photo, and the probabilities, 0 to 1, of the named classes, the most likely one first."""
    figure = Figure(figsize=(9, max(4.0, 0.35 * len(names) + 1)), layout="constrained")
    figure.suptitle(title, color=INK)
    picture, bars = figure.subplots(1, 2)
    picture.axis("off")
    picture.imshow(photo)
    style_axes(bars, "probability", "")
    bars.barh(range(len(names)), probabilities, color=SCORE_COLORS["recall"])
    for position, probability in enumerate(probabilities):
        outside = probability < 0.8
        color, alignment = (INK, "left") if outside else ("white", "right")
        bars.annotate(
            f"{probability:.1%}",
            (probability, position),
            (4 if outside else -4, 0),
            textcoords="offset points",
            ha=alignment,
            va="center",
            color=color,
        )
    bars.set_yticks(range(len(names)), names)
    bars.set_ylim(len(names) - 0.5, -0.5)
    bars.set_xlim(0, 1)
    bars.grid(visible=False, axis="y")
    show_percent(bars.xaxis)
    return figure
