"""Markdown: a comparison as one text, for the summary of a job and for a comment on a pull request.

Hosts of Git repositories show no embedded pictures, so the learning curve is a chart in Mermaid.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from classifier.params import flatten
from classifier.results import comparison
from classifier.results.comparison import PARAMS, Result
from classifier.results.difference import Change, Difference, changes, explanation, sentence
from classifier.results.learning_curve import Epoch
from classifier.results.predictions import Predictions

MARKER = "<!-- tools.compare -->"  # by which the comment on a pull request is found again
COLORS = {"blue": "#3b82f6", "orange": "#d97706", "green": "#059669", "pink": "#db2777"}  # 3:1 or more on white and on black
LONGEST = 80  # characters of a name or a value
CONFUSIONS = 10  # in a table
POINTS = 25  # of a line, whose epochs have room below it
# What Markdown, HTML or Mermaid could interpret; not an underscore between letters.
UNFIT = re.compile(r"[^\w ,.-]|(?<![^\W_])_|_(?![^\W_])")


def summary(
    groups: Mapping[str, Sequence[Result]], found: Sequence[Difference], committed: Mapping[str, Mapping[str, Any]]
) -> str:
    """Return the text.

    Parameters
    ----------
    groups, found
        What `group` and `differences` return.
    committed
        For each revision that was given, also those that `group` left out: the values of params.yaml on its commit, by key.
    """
    used = {result.revision: _used(result) for row in groups.values() for result in row}
    repeated = [code(revision) for revision in committed if revision not in used]
    rows = [replace(row, name=code(row.name)) for row in comparison.compare(groups)]
    means = {code(name): _listed(code(result.revision) for result in row) for name, row in groups.items() if len(row) > 1}
    parts = [
        MARKER,
        f"## Comparison of {_listed(map(code, committed))}",
        f"Data set: {_listed(dict.fromkeys(code(params.get('data.name', '-')) for params in used.values()))}.",
        *([f"Counted once, since others have the same settings and results: {_listed(repeated)}."] if repeated else []),
        *(["\n".join(map(_difference, found))] if found else []),
        comparison.as_markdown(rows).rstrip(),
        *(f"{name} is the mean of {revisions}, which differ in the seed alone." for name, revisions in means.items()),
    ]
    parts += _params(committed, used)
    parts += _charts({name: row[0].curve for name, row in groups.items()})
    parts += _confusions([next((result for result in row if result.predictions), row[0]) for row in groups.values()])
    return "\n\n".join(parts) + "\n"


def code(value: object) -> str:
    """Return a name or a value as code in one line, whatever it contains; a long one is cut.

    What Markdown or HTML could interpret becomes character references. In code, nothing is a mention or a formula.
    """
    text = " ".join(str(value).split())
    text = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
    text = "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
    return f"<code>{UNFIT.sub(lambda match: f'&#{ord(match[0])};', text)}</code>"


def _listed(texts: Iterable[str]) -> str:
    *others, last = texts
    return f"{', '.join(others)} and {last}" if others else last


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, ["---"] * len(head), *rows])


def _difference(found: Difference) -> str:
    """Return a difference as a list, in the words of `classifier.results.difference`."""

    def marked(cells: Sequence[Change]) -> list[Change]:
        return [replace(cell, actual=code(cell.actual), predicted=code(cell.predicted)) for cell in cells]

    first, second = found.models
    found = replace(
        found,
        first=code(found.first),
        second=code(found.second),
        models=(code(first), code(second)),
        without_predictions=[code(revision) for revision in found.without_predictions],
        classes=marked(found.classes),
        confusions=marked(found.confusions),
    )
    return "\n".join([f"- {sentence(found)}. {explanation(found)}".rstrip(), *(f"  - {line}." for line in changes(found))])


def _used(result: Result) -> dict[str, Any]:
    """Return the values with which a result was made, by key."""
    used: dict[str, Any] = {}
    for stage in result.lock["stages"].values():
        used |= flatten(stage.get("params", {}).get(PARAMS, {}))
    return used


def _params(committed: Mapping[str, Mapping[str, Any]], used: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return what differs in the files of the commits, and below it what differs in the trainings, if that is not the same."""
    titles: dict[str, str] = {}  # by table
    for title, params in ((f"Committed {PARAMS}", committed), ("Params of these trainings", used)):
        rows = []
        for key in dict.fromkeys(key for values in params.values() for key in values):
            texts = [json.dumps(values[key], ensure_ascii=False) if key in values else "" for values in params.values()]
            if len(set(texts)) > 1:
                rows.append([code(key), *(code(text) if text else "-" for text in texts)])
        titles.setdefault(_table(["param", *map(code, params)], rows) if rows else "No difference.", title)
    return [f"### {title}\n\n{table}" for table, title in titles.items()]


def _charts(curves: Mapping[str, Sequence[Epoch]]) -> list[str]:
    """Return charts of the first curves, one for each number of epochs: Mermaid spreads every line over the whole axis."""
    lines = [(len(curve), color, name, curve) for color, (name, curve) in zip(COLORS, curves.items(), strict=False)]
    accuracies = [100 * epoch.validation_accuracy for *_, curve in lines for epoch in curve]
    axis = f'y-axis "validation accuracy (%)" {min(accuracies):.2f} --> {max(accuracies):.2f}'
    charts = [_chart([line[1:] for line in lines if line[0] == epochs], axis) for epochs in sorted({line[0] for line in lines})]
    hidden = [code(name) for name in list(curves)[len(COLORS) :]]
    return ["### Validation accuracy", *charts, *([f"Not drawn: {_listed(hidden)}."] if hidden else [])]


def _chart(curves: Sequence[tuple[str, str, Sequence[Epoch]]], axis: str) -> str:
    """Return a line for each curve, all of one length, with color and name; of one epoch, a point of which is no line, bars."""
    epochs = [epoch.epoch for epoch in curves[0][2]]
    drawn = slice(None, None, math.ceil(len(epochs) / POINTS))
    points = [", ".join(f"{100 * epoch.validation_accuracy:.2f}" for epoch in curve[drawn]) for _, _, curve in curves]
    if len(epochs) == 1:
        legend = "After one epoch"
        names = ", ".join(f'"{UNFIT.sub(" ", name)[:LONGEST]}"' for _, name, _ in curves)
        lines = [f"x-axis [{names}]", 'y-axis "validation accuracy (%)" 0 --> 100', f"bar [{', '.join(points)}]"]
    else:
        legend = _listed(f"{code(name)} {color}" for color, name, _ in curves)
        lines = [f"x-axis epoch [{', '.join(map(str, epochs[drawn]))}]", axis, *(f"line [{values}]" for values in points)]
    palette = {"themeVariables": {"xyChart": {"plotColorPalette": ", ".join(COLORS[color] for color, _, _ in curves)}}}
    chart = "\n  ".join([f"%%{{init: {json.dumps(palette)}}}%%\nxychart-beta", *lines])
    return f"{legend}:\n\n```mermaid\n{chart}\n```"


def _confusions(results: Sequence[Result]) -> list[str]:
    """Return a table for each test split, and a line for results without predictions."""
    splits: dict[tuple[str, ...], dict[str, Predictions]] = {}
    for result in results:
        if predictions := result.predictions:
            split = (str(predictions.labels.tobytes()), *predictions.class_names)
            splits.setdefault(split, {})[result.revision] = predictions
    lacking = [code(result.revision) for result in results if result.predictions is None]
    missing = [f"There are no predictions of {_listed(lacking)}."] if lacking else []
    return ["### Most frequent confusions", *map(_confusion_table, splits.values()), *missing]


def _confusion_table(predictions: Mapping[str, Predictions]) -> str:
    """Return the cells of the confusion matrix, off its diagonal, that have the most images in all."""
    labels, names = (getattr(next(iter(predictions.values())), name) for name in ("labels", "class_names"))
    classes = len(names)
    cells = [labels * classes + each.probabilities.argmax(axis=1) for each in predictions.values()]
    counts = np.stack([np.bincount(each, minlength=classes**2) for each in cells])
    counts[:, :: classes + 1] = 0  # the diagonal
    most = [cell for cell in np.argsort(-counts.sum(axis=0), kind="stable")[:CONFUSIONS] if counts[:, cell].any()]
    rows = [[code(names[cell // classes]), code(names[cell % classes]), *map(str, counts[:, cell])] for cell in most]
    return _table(["true class", "predicted class", *map(code, predictions)], rows) if rows else "No image is confused."
