"""Images of the test split with the answers of the models: those in the cells of the confusion matrices, and lists of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from classifier.data.split import Split
from classifier.results.difference import ALL_PAIRS
from classifier.results.predictions import Predictions
from tools.report.pictures import Key, representatives
from tools.report.revision import Line, count
from tools.report.splits import find_split, split_key

LARGEST_TABLE = 20  # classes, above which a confusion matrix is a picture
CONFUSIONS = 30  # below such a picture
IN_A_CELL = 3  # images of a cell of a confusion matrix
IN_CELLS = 280  # images of all cells, so that there is room for the other lists
MISTAKES, UNSURE, DISAGREEMENTS = 16, 8, 8  # images in a list
FEW_CLASSES, LIKELIEST = 10, 5  # up to so many classes all have a bar, of more the likeliest and the true one


@dataclass(frozen=True)
class Answer:
    """What a model says of an image: the predicted class, and the probability in percent of the classes that are shown."""

    line: int
    predicted: int
    bars: Sequence[tuple[int, float]]


@dataclass(frozen=True)
class Card:
    """An image with the answers of one or more models.

    name
        Index in its split, or file name.
    """

    key: Key
    name: str
    actual: int
    answers: Sequence[Answer]


@dataclass(frozen=True)
class Cards:
    """A list of images."""

    id: str
    title: str
    set: int
    cards: Sequence[Card]


@dataclass(frozen=True)
class TestSet:
    """A test split, and the predictions of the rows whose models were scored on it.

    predictions
        By the number of the row.
    split
        Its images; None where they are not here.
    """

    key: str
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    predictions: Mapping[int, Predictions]
    split: Split | None

    def card(self, index: int, lines: Sequence[int]) -> Card:
        """Return an image with the answers of these rows."""
        files = self.split.files if self.split else ()
        answers = [
            Answer(line, *answer(self.predictions[line].probabilities[index], int(self.labels[index]))) for line in lines
        ]
        return Card((self.key, index), files[index] if files else f"test {index}", int(self.labels[index]), answers)


def answer(probabilities: NDArray[np.float64], actual: int) -> tuple[int, list[tuple[int, float]]]:
    """Return the predicted class, and the percentages of the classes to be shown, in the order of the classes."""
    shown = np.arange(len(probabilities))
    if len(shown) > FEW_CLASSES:
        likeliest = np.argsort(-probabilities, kind="stable")[:LIKELIEST].tolist()
        shown = np.array(sorted({*likeliest, actual}))
    return int(probabilities.argmax()), [(int(index), round(100 * float(probabilities[index]), 1)) for index in shown]


def find_test_sets(lines: Sequence[Line]) -> list[TestSet]:
    """Return the test splits of all rows that have predictions."""
    shared: list[tuple[str, list[tuple[Line, Predictions]]]] = []
    for line in lines:
        if predictions := line.first.result.predictions:
            key = split_key(line.first, "test")
            same = [members for known, members in shared if known == key and _equal(members[0][1], predictions)]
            if same:
                same[0].append((line, predictions))
            else:
                shared.append((key, [(line, predictions)]))
    sets = []
    for number, (key, members) in enumerate(shared):
        first, predictions = members[0]
        split = find_split(first.first, "test")
        if split and not np.array_equal(split.labels, predictions.labels):  # the workspace may have another data set by now
            split = None
        answers = {line.number: each for line, each in members}
        names = tuple(predictions.class_names.tolist())
        sets.append(TestSet(f"{key} {number}", predictions.labels, names, answers, split))
    return sets


def _equal(one: Predictions, other: Predictions) -> bool:
    return np.array_equal(one.class_names, other.class_names) and np.array_equal(one.labels, other.labels)


def frequent_confusions(confusions: NDArray[np.int64], most: int) -> list[tuple[int, int]]:
    """Return the off-diagonal cells with the most images, none without any, the most frequent first."""
    wrong = confusions.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    cells = [(int(index) // len(wrong), int(index) % len(wrong)) for index in order]
    return [cell for cell in cells if wrong[cell]]


def images_in_cells(test: TestSet) -> list[int]:
    """Return images of each cell of each confusion matrix, of many classes those of the most frequent confusions."""
    cells: dict[tuple[int, int, int], list[int]] = {}
    for line, predictions in test.predictions.items():
        predicted, confidence = predictions.probabilities.argmax(axis=1), predictions.probabilities.max(axis=1)
        wrong = np.flatnonzero(predicted != test.labels)
        for index in wrong[np.argsort(-confidence[wrong], kind="stable")]:
            cells.setdefault((line, int(test.labels[index]), int(predicted[index])), []).append(int(index))
    if len(test.class_names) > LARGEST_TABLE:
        kept = {line: frequent_confusions(count(each), CONFUSIONS) for line, each in test.predictions.items()}
        cells = {cell: images for cell, images in cells.items() if cell[1:] in kept[cell[0]]}
    return representatives(cells, IN_A_CELL, IN_CELLS)


def mistakes(test: TestSet, line: int) -> list[int]:
    """Return the most confident mistakes of a row."""
    predictions = test.predictions[line]
    confidence = predictions.probabilities.max(axis=1)
    wrong = np.flatnonzero(predictions.probabilities.argmax(axis=1) != test.labels)
    return [int(index) for index in wrong[np.argsort(-confidence[wrong], kind="stable")][:MISTAKES]]


def unsure(test: TestSet, line: int) -> list[int]:
    """Return the least confident right answers of a row."""
    predictions = test.predictions[line]
    confidence = predictions.probabilities.max(axis=1)
    right = np.flatnonzero(predictions.probabilities.argmax(axis=1) == test.labels)
    return [int(index) for index in right[np.argsort(confidence[right], kind="stable")][:UNSURE]]


def disagreements(test: TestSet, one: int, other: int) -> list[int]:
    """Return the images of which two rows, both surest, predict different classes."""
    probabilities = [test.predictions[line].probabilities for line in (one, other)]
    different = np.flatnonzero(probabilities[0].argmax(axis=1) != probabilities[1].argmax(axis=1))
    both = np.minimum(*(each.max(axis=1)[different] for each in probabilities))
    return [int(index) for index in different[np.argsort(-both, kind="stable")][:DISAGREEMENTS]]


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
        if len(test.predictions) > ALL_PAIRS:
            pairs = [pair for pair in pairs if pair[0] == min(test.predictions)]
        for one, other in pairs:
            chosen = [test.card(index, [one, other]) for index in disagreements(test, one, other)]
            title = f"{lines[one].first_name} and {lines[other].first_name} disagree"
            lists.append(Cards(f"disagreements-{one}-{other}", title, number, chosen))
    return [each for each in lists if each.cards]


def cell_cards(test: TestSet, indices: Sequence[int], lists: Sequence[Cards]) -> list[Card]:
    """Return the images of a test set that the page can show in a cell: those chosen for it, and those of the lists."""
    listed = [card.key[1] for each in lists for card in each.cards if isinstance(card.key, tuple) and card.key[0] == test.key]
    return [test.card(index, list(test.predictions)) for index in dict.fromkeys([*indices, *listed])]
