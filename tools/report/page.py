"""The page: everything that the report shows, as one HTML text."""

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from classifier.figures.style import css_variables
from classifier.figures.svg import marker_svg
from classifier.results import difference
from classifier.results.certainty import reliability
from tools.report.charts import QUANTITIES, bins, charts, coverage
from tools.report.class_scores import scores_by_class
from tools.report.data_set import data_sets
from tools.report.images import Card, TestSet, cell_cards, find_test_sets, image_lists, images_in_cells
from tools.report.matrix import Matrix, matrices
from tools.report.pictures import MOST, Album
from tools.report.revision import Line, Lines, differing_params
from tools.report.suspects import suspect_lists

FOLDER = Path(__file__).parent
SWITCHED_ON = 8  # rows whose curves are shown at first: there are so many colours
RECIPE = {  # params that are the same in all rows, and what the first lines of the page call them
    "network.design": "network",
    "network.pretrained": "pretrained",
    "train.epochs": "epochs",
    "train.optimizer": "optimizer",
    "train.learning_rate": "learning rate",
    "train.batch_size": "batch size",
}
SHOWN = ("mistakes-0", "disagreements-0-1")  # lists of images that are shown at first


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
        environment.globals |= {"marker": marker_svg, "sentence": difference.sentence}
        script = (FOLDER / "page.js").read_text(encoding="utf-8")
        checksum = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
        sprite = self.album.sprite(pictures)
        values = {**self.values, "sprite": sprite, "script": script, "script_checksum": checksum}
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
    found = difference.differences(lines.groups)
    sets = find_test_sets(rows)
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


def params(lines: Sequence[Line]) -> list[tuple[str, list[Any], bool]]:
    """Return key, value of each row, and whether they differ, of all params."""
    differing = differing_params(lines)
    keys = sorted({key for line in lines for key in line.first.params})
    return [(key, [line.first.params.get(key) for line in lines], key in differing) for key in keys]


def matrix_choices(shown: Sequence[Matrix]) -> list[tuple[str, str, bool, int | None]]:
    """Return id, title, whether it is shown at first, and the number of its row, if it has only one, of each matrix."""
    return [(each.id, each.title, each is shown[0], each.lines[0] if len(each.lines) == 1 else None) for each in shown]


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
