"""The page: everything that the report shows, as one HTML text."""

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from classifier.figures.certainty import coverage_figure, reliability_figure
from classifier.figures.comparison import curve_figure
from classifier.figures.confusion_matrix import confusion_matrix_figure
from classifier.figures.style import css_variables, png
from classifier.figures.svg import marker_svg, svg
from classifier.figures.trade_off import trade_off_figure
from classifier.results import difference
from classifier.results.certainty import accuracy_at_coverage, reliability
from classifier.results.comparison import Row
from classifier.results.difference import Difference, differences
from classifier.results.predictions import Predictions
from tools.report.class_scores import scores_by_class
from tools.report.data_set import data_sets
from tools.report.images import (
    CONFUSIONS,
    LARGEST_TABLE,
    Answer,
    Card,
    TestSet,
    answer,
    disagreements,
    frequent_confusions,
    images_in_cells,
    mistakes,
    test_sets,
    unsure,
)
from tools.report.matrix import Matrix, difference_cells, matrix_cells
from tools.report.pictures import MOST, Album
from tools.report.revision import Line, Lines, differing_params
from tools.report.splits import find_split, split_key
from tools.report.suspects import label_suspects, validation_probabilities

FOLDER = Path(__file__).parent
SWITCHED_ON = 8  # rows whose curves are shown at first: there are so many colours
SUSPECTS = 20
BINS = 15  # of confidence, where the params of a revision do not say
RECIPE = {  # params that are the same in all rows, and what the first lines of the page call them
    "network.design": "network",
    "network.pretrained": "pretrained",
    "train.epochs": "epochs",
    "train.optimizer": "optimizer",
    "train.learning_rate": "learning rate",
    "train.batch_size": "batch size",
}
SHOWN = ("mistakes-0", "disagreements-0-1")  # lists of images that are shown at first
QUANTITIES = ("accuracy", "loss")


@dataclass(frozen=True)
class Cards:
    """A list of images."""

    id: str
    title: str
    set: int
    cards: Sequence[Card]


@dataclass(frozen=True)
class Content:
    """Everything that the page shows, apart from the pictures, of which as many are shown as there is room for."""

    values: Mapping[str, Any]
    album: Album

    def render(self, pictures: int = MOST) -> str:
        """Return the page with so many pictures at most."""
        environment = Environment(
            loader=FileSystemLoader(FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        environment.filters |= {"percent": percent, "setting": setting}
        environment.globals |= {"marker": lambda number: Markup(marker_svg(number)), "sentence": difference.sentence}  # noqa: S704
        script = (FOLDER / "page.js").read_text(encoding="utf-8")
        checksum = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
        sprite = self.album.sprite(pictures)
        values = {**self.values, "sprite": sprite, "script": Markup(script), "script_checksum": checksum}  # noqa: S704
        values["data"] = script_data(self.values, {} if sprite is None else sprite.places)
        return environment.get_template("page.html.jinja").render(values)


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share in percent, `-` where there is none."""
    return "-" if share is None else f"{share:.{digits}%}"


def setting(value: Any) -> str:
    """Return the value of a param as YAML has it in one line; `-` where a revision lacks it."""
    return "-" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def content(lines: Lines, title: str, note: str, command: str) -> Content:
    """Gather what the page shows.

    Parameters
    ----------
    title, note
        Of the page; if empty, the title names data set and rows, and there is no note.
    command
        That writes this report.
    """
    rows = lines.lines
    found = differences(lines.groups)
    sets = test_sets(rows)
    album = Album()
    cells = {number: images_in_cells(test) for number, test in enumerate(sets)}
    for number, test in enumerate(sets):
        if test.split:
            for index in cells[number]:
                album.add((test.key, index), test.split.images[index])
    data = data_sets(rows, album)
    lists = image_lists(rows, sets)
    suspects = suspect_lists(rows, sets, album)
    for each in [*lists, *suspects]:
        split = sets[each.set].split
        if split:
            for card in each.cards:
                if isinstance(card.key, tuple) and card.key[0] == sets[each.set].key:
                    album.add(card.key, split.images[card.key[1]])
    cards = [cell_cards(test, cells[number], [*lists, *suspects]) for number, test in enumerate(sets)]
    shown = matrices(rows, sets, found)
    values = {
        "title": title or f"{', '.join(dict.fromkeys(each.name for each in data))}: {', '.join(line.name for line in rows)}",
        "note": note,
        "lines": rows,
        "runs": [(line, revision) for line in rows for revision in line.revisions],
        "remarks": [remark for line in rows for remark in line.remarks],
        "several": len(rows) > 1,
        "seeds": any(len(line.revisions) > 1 for line in rows),
        "repeated": lines.repeated,
        "summary": summary(rows),
        "differing": differing_params(rows),
        "short_keys": short_keys(differing_params(rows)),
        "differences": [(each, difference.explanation(each), difference.changes(each)) for each in found],
        "missing_seeds": difference.missing_seeds(lines.groups),
        "charts": charts(rows),
        "colors": (css_variables(), css_variables(dark=True)),
        "sets": sets,
        "cards": cards,
        "matrices": shown,
        "lists": lists,
        "suspects": suspects,
        "data_sets": data,
        "pictures_missing": [test for test in sets if test.split is None],
        "classes": [
            (line, scores_by_class(line.first.confusions, line.first.class_names)) for line in rows if line.first.class_names
        ],
        "reliability": [
            (line, reliability(line.first.result.predictions, bins(line))) for line in rows if line.first.result.predictions
        ],
        "coverage": coverage(rows),
        "params": params(rows),
        "longest": max(len(each.result.curve) for line in rows for each in line.revisions),
        "line_choices": [(f"revision-{line.number}", line.name, line.number < SWITCHED_ON, line.number) for line in rows],
        "matrix_choices": matrix_choices(shown),
        "list_choices": [(each.id, each.title, each.id in SHOWN, None) for each in lists],
        "class_choices": [
            (f"classes-{line.number}", line.first_name, line.number == 0, line.number)
            for line in rows
            if line.first.class_names
        ],
        "command": command,
    }
    return Content(values, album)


def bins(line: Line) -> int:
    """Return the number of bins of confidence with which a row was evaluated."""
    return int(line.first.params.get("evaluate.calibration_bins", BINS))


def summary(lines: Sequence[Line]) -> list[tuple[str, str]]:
    """Return the settings that all rows have in common."""
    settings = [line.first.params for line in lines]
    return [
        (word, setting(settings[0][key]))
        for key, word in RECIPE.items()
        if all(key in each and each[key] == settings[0].get(key) for each in settings) and settings[0][key] != "none"
    ]


def short_keys(keys: Iterable[str]) -> dict[str, str]:
    """Return the last part of each key where it is the only one with it, as a name for it."""
    last = Counter(key.rpartition(".")[2] for key in keys)
    return {key: key if last[key.rpartition(".")[2]] > 1 else key.rpartition(".")[2] for key in keys}


def coverage(lines: Sequence[Line]) -> list[tuple[str, list[float]]]:
    """Return the accuracy of each row that has predictions at every tenth of coverage."""
    found = []
    for line in lines:
        if predictions := line.first.result.predictions:
            values = accuracy_at_coverage(predictions)
            tenths = [next(accuracy for share, accuracy in values if share >= tenth / 10 - 1e-9) for tenth in range(1, 11)]
            found.append((line.first_name, tenths))
    return found


def params(lines: Sequence[Line]) -> list[tuple[str, list[Any], bool]]:
    """Return key, value of each row, and whether they differ, of all params."""
    differing = differing_params(lines)
    keys = sorted({key for line in lines for key in line.first.params})
    return [(key, [line.first.params.get(key) for line in lines], key in differing) for key in keys]


def charts(lines: Sequence[Line]) -> dict[str, Markup]:
    """Return the charts of the page as SVG."""
    curves = {line.name: [each.result.curve for each in line.revisions] for line in lines}
    predictions = {line.name: line.first.result.predictions for line in lines}
    rows: list[Row] = [line.row for line in lines]
    best = lines[0]
    drawn: dict[str, tuple[Callable[[], Figure], str, str]] = {}
    for quantity in QUANTITIES:
        name = quantity.capitalize()
        words = f"{name} after each epoch, training dashed, validation solid. The table below has the values."
        drawn[quantity] = (lambda q=quantity: curve_figure(curves, q)), name, words
        scaled = f"{name}, logarithmic scale" if quantity == "loss" else "Error, logarithmic scale"
        drawn[f"{quantity}-logarithmic"] = (lambda q=quantity: curve_figure(curves, q, logarithmic=True)), scaled, words
    for quantity, title in (("seconds", "Accuracy against seconds of training"), ("parameters", "Accuracy against parameters")):
        drawn[f"cost-{quantity}"] = (
            (lambda q=quantity: trade_off_figure(rows, q)),
            title,
            f"{title}, a point for each row of the first table.",
        )
    if any(predictions.values()):
        words = "The table below has the values."
        drawn["reliability"] = (
            (lambda: reliability_figure(predictions, bins(best))),
            "Reliability: accuracy against confidence",
            words,
        )
        drawn["coverage"] = (lambda: coverage_figure(predictions)), "Accuracy against coverage", words
    return {prefix: Markup(svg(draw, prefix, title, words)) for prefix, (draw, title, words) in drawn.items()}  # noqa: S704


def matrices(lines: Sequence[Line], sets: Sequence[TestSet], found: Sequence[Difference]) -> list[Matrix]:
    """Return the confusion matrices of all rows, and the differences between the rows that are compared."""
    place = {line: number for number, test in enumerate(sets) for line in test.predictions}
    shown = []
    for line in lines:
        first = line.first
        if not first.class_names:
            continue
        common = (f"matrix-{line.number}", line.first_name, [line.number], first.class_names)
        if len(first.class_names) <= LARGEST_TABLE:
            shown.append(Matrix(*common, cells=matrix_cells(first.confusions), set=place.get(line.number)))
        else:
            images = first.confusions.sum(axis=1)
            frequent = frequent_confusions(first.confusions, CONFUSIONS)
            confusions = [(i, j, int(first.confusions[i, j]), float(first.confusions[i, j] / images[i])) for i, j in frequent]
            shown.append(Matrix(*common, picture=picture(line), confusions=confusions, set=place.get(line.number)))
    numbers = {line.name: line.number for line in lines}
    for each in found:
        first, second = (lines[numbers[name]] for name in (each.first, each.second))
        small = 0 < len(first.first.class_names) <= LARGEST_TABLE
        if each.method != "none" and small and first.first.class_names == second.first.class_names:
            cells = difference_cells(first.first.confusions, second.first.confusions)
            pair = [first.number, second.number]
            same = place.get(first.number) == place.get(second.number)
            title = f"{first.name} minus {second.name}"
            name = f"difference-{first.number}-{second.number}"
            shown.append(
                Matrix(name, title, pair, first.first.class_names, cells, set=place.get(first.number) if same else None)
            )
    return shown


def matrix_choices(shown: Sequence[Matrix]) -> list[tuple[str, str, bool, int | None]]:
    """Return id, title, whether it is shown at first, and the number of its row, if it has only one, of each matrix."""
    return [(each.id, each.title, each is shown[0], each.lines[0] if len(each.lines) == 1 else None) for each in shown]


def picture(line: Line) -> tuple[str, str]:
    """Return URLs of the picture of a large confusion matrix, on light and on dark background."""
    confusions, names = line.first.confusions, np.array(line.first.class_names)
    labels, predicted = (np.repeat(indices.ravel(), confusions.ravel()) for indices in np.indices(confusions.shape))
    predictions = line.first.result.predictions or Predictions(labels, np.eye(len(names))[predicted], names)
    pictures = (png(lambda: confusion_matrix_figure(predictions, 0), 100, dark=dark) for dark in (False, True))
    light, dark = (f"data:image/png;base64,{base64.b64encode(data).decode('ascii')}" for data in pictures)
    return light, dark


def image_lists(lines: Sequence[Line], sets: Sequence[TestSet]) -> list[Cards]:
    """Return the lists of images: of each row, and of each pair of rows on the same test split, up to four rows."""
    lists = []
    for number, test in enumerate(sets):
        for line in test.predictions:
            name = lines[line].first_name
            chosen = [test.card(index, [line]) for index in mistakes(test, line)]
            lists.append(Cards(f"mistakes-{line}", f"Most confident mistakes: {name}", number, chosen))
            chosen = [test.card(index, [line]) for index in unsure(test, line)]
            lists.append(Cards(f"unsure-{line}", f"Least confident right answers: {name}", number, chosen))
        pairs = list(combinations(test.predictions, 2))
        if len(test.predictions) > difference.ALL_PAIRS:
            pairs = [pair for pair in pairs if pair[0] == min(test.predictions)]
        for one, other in pairs:
            chosen = [test.card(index, [one, other]) for index in disagreements(test, one, other)]
            title = f"{lines[one].first_name} and {lines[other].first_name} disagree"
            lists.append(Cards(f"disagreements-{one}-{other}", title, number, chosen))
    return [each for each in lists if each.cards]


def suspect_lists(lines: Sequence[Line], sets: Sequence[TestSet], album: Album) -> list[Cards]:
    """Return the images of test and validation split that the best model here is surest are labelled wrong."""
    lists = []
    for number, test in enumerate(sets):
        line = min(test.predictions)
        indices = label_suspects(test.labels, test.predictions[line].probabilities, SUSPECTS)
        chosen = [test.card(int(index), [line]) for index in indices]
        lists.append(Cards(f"suspects-test-{number}", f"Test split, by {lines[line].first_name}", number, chosen))
        for line in sorted(test.predictions):
            revision = lines[line].first
            split = find_split(revision, "validation")
            probabilities = validation_probabilities(revision, split) if split else None
            if split is None or probabilities is None:
                continue
            cards = []
            for index in map(int, label_suspects(split.labels, probabilities, SUSPECTS)):
                label = int(split.labels[index])
                key = (split_key(revision, "validation"), index)
                name = split.files[index] if split.files else f"validation {index}"
                cards.append(Card(key, name, label, [Answer(line, *answer(probabilities[index], label))]))
                album.add(key, split.images[index])
            lists.append(
                Cards(f"suspects-validation-{number}", f"Validation split, by {lines[line].first_name}", number, cards)
            )
            break
    return [each for each in lists if each.cards]


def cell_cards(test: TestSet, indices: Sequence[int], lists: Sequence[Cards]) -> list[Card]:
    """Return the images of a test set that the page can show in a cell: those chosen for it, and those of the lists."""
    listed = [card.key[1] for each in lists for card in each.cards if isinstance(card.key, tuple) and card.key[0] == test.key]
    return [test.card(index, list(test.predictions)) for index in dict.fromkeys([*indices, *listed])]


def script_data(values: Mapping[str, Any], places: Mapping[Any, tuple[int, int]]) -> dict[str, Any]:
    """Return what the script of the page knows: names, curves, and the images of each test set.

    Probabilities are in tenths of a percent; without a list of classes they are those of all.
    """
    lines: Sequence[Line] = values["lines"]
    sets: Sequence[TestSet] = values["sets"]
    return {
        "lines": [line.first_name for line in lines],
        "curves": [
            [
                [
                    epoch.epoch,
                    *(getattr(epoch, f"{split}_{quantity}") for quantity in QUANTITIES for split in ("validation", "train")),
                ]
                for epoch in line.first.result.curve
            ]
            for line in lines
        ],
        "sets": [
            {
                "classes": test.class_names,
                "images": [_image(card, places, len(test.class_names)) for card in cards],
            }
            for test, cards in zip(sets, values["cards"], strict=True)
        ],
    }


def _image(card: Card, places: Mapping[Any, tuple[int, int]], classes: int) -> list[Any]:
    answers = []
    for each in card.answers:
        tenths = [round(10 * value) for _, value in each.bars]
        shown = [] if len(each.bars) == classes else [[index for index, _ in each.bars]]
        answers.append([each.line, each.predicted, tenths, *shown])
    return [card.name, places.get(card.key), card.actual, answers]
