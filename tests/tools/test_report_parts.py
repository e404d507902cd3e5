import base64
import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from tests.tools.reports import predictions, revision
from tools.report import matrix as matrix_module
from tools.report import splits
from tools.report.class_scores import scores_by_class
from tools.report.images import answer, disagreements, find_test_sets, image_lists, images_in_cells, mistakes, unsure
from tools.report.matrix import difference_cells, matrices, matrix_cells
from tools.report.pictures import MOST, Album, Sprite, representatives
from tools.report.revision import arrange, differing_params
from tools.report.suspects import label_suspects

NAMES = ["a", "b", "c"]


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(splits, "cache_folder", lambda: tmp_path)


def pixels(sprite: Sprite) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(base64.b64decode(sprite.url.partition(",")[2]))) as picture:
        assert picture.format == "WEBP"
        return np.asarray(picture.convert("RGB"))


def test_seeds_are_one_row_whose_first_seed_is_shown_and_rows_are_sorted_by_accuracy() -> None:
    good, bad = predictions([0, 1], [0, 1], [0.9, 0.9], NAMES), predictions([0, 1], [0, 0], [0.9, 0.9], NAMES)
    rows = arrange([revision("b-seed-1", None, 1, 0.5), revision("b", bad, 0), revision("a", good, 0, epochs=2)])
    assert [(line.number, line.name, line.first_name, len(line.revisions)) for line in rows.lines] == [
        (0, "a", "a", 1),
        (1, "b", "b (seed 0)", 2),
    ]
    assert list(rows.groups) == ["a", "b"]
    assert differing_params(rows.lines) == {"train.epochs": [2, None]}


def test_of_equal_revisions_one_is_shown_and_the_other_is_named() -> None:
    good = predictions([0, 1], [0, 1], [0.9, 0.9], NAMES)
    rows = arrange([revision("augmented", good), revision("workspace", good)])
    assert [line.name for line in rows.lines] == ["augmented"]
    assert rows.repeated == ["workspace"]


def test_a_picture_is_taken_once_and_no_more_than_there_is_room_for() -> None:
    album = Album()
    image = np.zeros((2, 2, 3), np.uint8)
    assert all(album.add(number, image) for number in range(MOST))
    assert album.add(0, image)
    assert not album.add(MOST, image)
    sprite = album.sprite(5)
    assert sprite
    assert (list(sprite.places), sprite.columns, sprite.rows) == ([0, 1, 2, 3, 4], 3, 2)
    assert Album().sprite() is None


def test_pictures_keep_their_pixels_also_grey_ones_and_smaller_ones() -> None:
    random = np.random.default_rng(0)
    colour, grey = (random.integers(256, size=shape, dtype=np.uint8) for shape in ((8, 8, 3), (4, 4, 1)))
    album = Album()
    album.add("colour", colour)
    album.add("grey", grey)
    sprite = album.sprite()
    assert sprite
    assert sprite.shown == 64
    sheet = pixels(sprite)
    assert np.array_equal(sheet[:8, :8], colour)
    assert np.array_equal(sheet[:8, 8:], grey.repeat(2, axis=0).repeat(2, axis=1).repeat(3, axis=2))


def test_each_cell_has_an_image_before_one_has_two_and_the_fullest_come_first() -> None:
    cells = {"small": [1], "large": [2, 3, 4, 5], "middle": [3, 6, 7]}
    # The first of `large` is none of `middle`; its second one, 3, counts in both.
    assert representatives(cells, 1, 10) == [2, 3, 1]
    assert representatives(cells, 2, 10) == [2, 3, 1, 6]
    assert representatives(cells, 3, 10) == [2, 3, 1, 6, 4, 7]
    assert representatives(cells, 3, 4) == [2, 3, 1, 6]


def test_a_cell_has_number_and_share_and_an_empty_one_nothing() -> None:
    cells = matrix_cells(np.array([[3, 1], [0, 0]]))
    texts = [[cell and (cell.text, cell.share, cell.kind) for cell in row] for row in cells]
    assert texts == [[("3", "75.0%", "dark"), ("1", "25.0%", "")], [None, None]]


def test_a_difference_says_which_cells_became_better() -> None:
    cells = difference_cells(np.array([[3, 1], [2, 2]]), np.array([[2, 2], [2, 2]]))
    texts = [[cell and (cell.text, cell.share, cell.kind) for cell in row] for row in cells]
    assert texts == [[("+1", "+25.0%", "better"), ("-1", "-25.0%", "better")], [None, None]]
    worse = difference_cells(np.array([[2, 2], [2, 2]]), np.array([[3, 1], [2, 2]]))
    assert [cell and cell.kind for cell in worse[0]] == ["worse", "worse"]


def test_of_many_classes_the_matrix_is_a_picture_with_a_table_of_the_most_frequent_confusions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(matrix_module, "png", lambda _draw, _dots, dark: b"dark" if dark else b"light")
    names = [f"class {number}" for number in range(40)]
    labels = np.arange(40).repeat(4)
    predicted = np.where(np.arange(160) % 4 < labels % 4, (labels + 1) % 40, labels)
    answers = predictions(labels.tolist(), predicted.tolist(), [0.9] * 160, names)
    rows = arrange([revision("one", answers)])
    sets = find_test_sets(rows.lines)
    (matrix,) = matrices(rows.lines, sets, [])
    assert matrix.cells is None
    assert matrix.picture
    assert matrix.picture == ("data:image/png;base64,bGlnaHQ=", "data:image/png;base64,ZGFyaw==")
    assert len(matrix.confusions) == 30
    assert matrix.confusions[0] == (3, 4, 3, 0.75)
    assert {tuple(int(each[index]) for each in (labels, predicted)) for index in images_in_cells(sets[0])} == {
        (actual, other) for actual, other, _, _ in matrix.confusions
    }


def test_scores_of_a_class_have_intervals_and_none_stands_for_0_by_0() -> None:
    first, second, third = scores_by_class(np.array([[8, 2, 0], [4, 6, 0], [0, 0, 0]]), NAMES)
    assert (first.images, third.images) == (10, 0)
    assert first.precision
    assert first.recall
    assert first.f1
    assert (first.precision.value, first.recall.value) == (8 / 12, 0.8)
    assert first.f1.value == pytest.approx(2 * 8 / (10 + 12))
    assert (third.precision, third.recall, third.f1) == (None, None, None)
    for score in (first.precision, first.recall, first.f1, second.f1):
        assert score
        assert 0 < score.low < score.value < score.high < 1


def test_of_many_classes_an_image_has_bars_of_the_likeliest_and_the_true_one() -> None:
    few = answer(np.array([0.1, 0.2, 0.7]), 0)
    assert few == (2, [(0, 10.0), (1, 20.0), (2, 70.0)])
    predicted, bars = answer(np.arange(12) / 66, 3)
    assert predicted == 11
    assert [index for index, _ in bars] == [3, 7, 8, 9, 10, 11]


def test_lists_have_the_surest_mistakes_the_least_sure_right_answers_and_disagreements() -> None:
    one = predictions([0, 1, 2, 0, 1], [0, 1, 1, 1, 0], [0.9, 0.5, 0.6, 0.8, 0.7], NAMES)
    other = predictions([0, 1, 2, 0, 1], [0, 1, 2, 2, 1], [0.9, 0.9, 0.9, 0.5, 0.8], NAMES)
    rows = arrange([revision("one", one), revision("other", other, epochs=2)])
    (test,) = find_test_sets(rows.lines)
    assert mistakes(test, 1) == [3, 4, 2]
    assert unsure(test, 1) == [1, 0]
    assert disagreements(test, 0, 1) == [4, 2, 3]
    assert {index for index in range(5) if index in images_in_cells(test)} == {2, 3, 4}
    assert [cards.id for cards in image_lists(rows.lines, [test])] == [
        *("mistakes-0", "unsure-0", "mistakes-1", "unsure-1"),
        "disagreements-0-1",
    ]


def test_revisions_on_other_test_images_are_apart() -> None:
    one, other = predictions([0, 1], [0, 1], [0.9, 0.9], NAMES), predictions([1, 1], [0, 1], [0.9, 0.9], NAMES)
    rows = arrange([revision("one", one), revision("other", other, epochs=2)])
    assert [list(test.predictions) for test in find_test_sets(rows.lines)] == [[0], [1]]


def test_flipped_labels_of_digits_are_among_the_first_suspects() -> None:
    digits = load_digits()
    labels = digits.target.copy()
    random = np.random.default_rng(0)
    flipped = random.choice(len(labels), 60, replace=False)
    labels[flipped] = (labels[flipped] + random.integers(1, 10, size=60)) % 10
    model = LogisticRegression(C=0.01, max_iter=300)
    probabilities = cross_val_predict(model, digits.data / 16, labels, cv=3, method="predict_proba")
    suspects = label_suspects(labels, probabilities, 20)
    assert len(suspects) == 20
    assert np.isin(suspects, flipped).sum() >= 17
    right = np.full((4, 2), [0.9, 0.1])
    assert not len(label_suspects(np.zeros(4, dtype=np.int64), right, 20)), "a class without images has no suspects"
