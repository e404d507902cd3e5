"""Figures as SVG inside an HTML page: text stays text, colours are CSS variables, revisions have classes."""

import io
import re
from collections.abc import Callable, Container
from xml.etree.ElementTree import Element, SubElement, fromstring, tostring

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.markers import MarkerStyle
from matplotlib.transforms import Affine2D

from classifier.figures.style import COLORS, revision_style

VARIABLES = {light: f"var(--{name})" for name, (light, _) in COLORS.items()} | {"#000000": "var(--ink)"}
LETTERS = {1: "M", 2: "L", 3: "Q", 4: "C", 79: "Z"}  # of SVG, by the codes of Matplotlib


def svg(draw: Callable[[], Figure], prefix: str, title: str, description: str = "") -> str:
    """Draw a figure as an <svg> element; the same figure gives the same text.

    An artist whose gid is `revision-2`, or begins with `revision-2-`, is in a group of that class. Each of the axes is a group
    PREFIX-panel-NUMBER, which says where they are: `data-box` has left, top, width and height in units of the viewBox, `data-x`
    and `data-y` the limits of the data there, `data-x-scale` and `data-y-scale` whether they are linear.

    Parameters
    ----------
    prefix
        Id of the element, with which the ids inside begin; different for each figure of a page.
    title, description
        For those who do not see the figure.
    """
    file = io.StringIO()
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({"text.parse_math": False, "svg.fonttype": "none", "svg.hashsalt": "figure"})
        figure = draw()
        figure.patch.set_visible(False)
        for number, axes in enumerate(figure.axes):
            axes.set_gid(f"panel-{number}")
            axes.patch.set_visible(False)
        figure.savefig(file, format="svg", metadata={"Date": None})
    drawn = fromstring(file.getvalue())  # noqa: S314, since Matplotlib wrote it
    kept = {str(artist.get_gid()) for artist in figure.findobj() if artist.get_gid()}
    kept.update(re.findall(r"#([^\")]+)[\")]", file.getvalue()))
    element = Element("svg", {"class": "chart", "id": prefix, "viewBox": drawn.attrib["viewBox"], "role": "img"})
    element.attrib |= {"aria-label": title, "style": "fill: var(--ink); stroke-linejoin: round"}
    if description:
        element.set("aria-describedby", f"{prefix}-description")
        SubElement(element, "desc", {"id": f"{prefix}-description"}).text = description
    element.extend(each for child in drawn for each in _compact(child, prefix, kept))
    for group in element.iter("g"):
        if (identity := group.get("id", "")).startswith(f"{prefix}-panel-"):
            group.attrib |= _place(figure, figure.axes[int(identity.rpartition("-")[2])])
    return tostring(element, encoding="unicode")


def marker_svg(number: int) -> str:
    """Return the marker of a revision, counted from 0, in its colour, as high as the text around it; screen readers skip it."""
    color, marker = revision_style(number)
    style = MarkerStyle(marker)
    segments = style.get_path().transformed(style.get_transform() + Affine2D().scale(1, -1)).iter_segments()
    path = "".join(LETTERS[int(code)] + " ".join(f"{value:.2f}" for value in points) for points, code in segments)
    size = {"viewBox": "-0.6 -0.6 1.2 1.2", "width": "1em", "height": "1em"}
    element = Element("svg", {"class": f"marker revision-{number}", **size, "aria-hidden": "true"})
    SubElement(element, "path", {"d": re.sub("Z.*", "Z", path), "style": f"fill: {VARIABLES[color]}"})
    return tostring(element, encoding="unicode")


def _compact(element: Element, prefix: str, kept: Container[str]) -> list[Element]:
    """Return an element as HTML takes it, without what has no effect; in place of a group that adds nothing, its children."""
    tag = element.tag.rpartition("}")[2]
    if tag in ("metadata", "style"):
        return []
    attributes = {name.rpartition("}")[2]: _short(value) for name, value in element.items()}
    identity = attributes.pop("id", "")
    if identity in kept:
        attributes["id"] = f"{prefix}-{identity}"
        if revision := re.match(r"revision-\d+", identity):
            attributes["class"] = revision[0]
    for name in ("href", "clip-path"):
        if name in attributes:
            attributes[name] = re.sub(r"^(url\()?#", rf"\g<0>{prefix}-", attributes[name])
    if "style" in attributes:
        attributes["style"] = re.sub(r"font-family: [^;]*(; )?", "", attributes["style"])
        attributes["style"] = re.sub("#[0-9a-f]{6}", lambda color: VARIABLES.get(color[0], color[0]), attributes["style"])
    if re.match(r"rotate\(-?0 ", attributes.get("transform", "")):
        del attributes["transform"]
    children = [each for child in element for each in _compact(child, prefix, kept)]
    styles = {child.get("style") for child in children}
    if tag == "g" and all(child.tag == "use" for child in children) and len(styles) == 1 and None not in styles:
        attributes["style"] = children[0].attrib["style"]
        for child in children:
            del child.attrib["style"]
    if tag in ("g", "defs") and not children:
        return []
    if tag == "g" and not attributes:
        return children
    new = Element(tag, attributes)
    new.extend(children)
    new.text = element.text if tag == "text" else None
    return [new]


def _short(value: str) -> str:
    """Return the value of an attribute with two decimals, in one line."""
    value = re.sub(r"-?\d+\.\d+", lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), value)
    return re.sub(r"\s*\n\s*", " ", value).strip()


def _place(figure: Figure, axes: Axes) -> dict[str, str]:
    """Return the attributes that say where the axes are."""
    width, height = figure.get_size_inches() * 72
    place = axes.get_position()
    box = (place.x0 * width, (1 - place.y1) * height, place.width * width, place.height * height)
    return {
        "data-box": " ".join(f"{number:.2f}" for number in box),
        "data-x": " ".join(f"{limit:.6g}" for limit in axes.get_xlim()),
        "data-y": " ".join(f"{limit:.6g}" for limit in axes.get_ylim()),
        "data-x-scale": axes.get_xscale(),
        "data-y-scale": axes.get_yscale(),
    }
