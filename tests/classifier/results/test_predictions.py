from pathlib import Path

import numpy as np
import pytest

from classifier.params import PlotParams, read_params
from classifier.results.predictions import (
    MISTAKES_KEPT,
    Predictions,
    find_mistakes,
    load_mistakes,
    load_predictions,
    mistake_rows,
    save_mistakes,
    save_predictions,
)
from classifier.runtime.errors import InputError
from tests.conftest import ROOT


def random_predictions(images: int, classes: int) -> Predictions:
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.full(classes, 0.3), size=images)
    return Predictions(
        generator.integers(classes, size=images), probabilities, np.array([f"class {c}" for c in range(classes)])
    )


def reloaded(predictions: Predictions, folder: Path) -> Predictions:
    save_predictions(predictions, folder / "predictions.npz")
    return load_predictions(folder / "predictions.npz")


def test_predictions_come_back_rounded_to_float16_and_summing_to_1(tmp_path: Path) -> None:
    before = random_predictions(1000, 10)
    after = reloaded(before, tmp_path)
    assert after.labels.dtype == np.int64
    assert np.array_equal(after.labels, before.labels)
    assert np.array_equal(after.class_names, before.class_names)
    np.testing.assert_allclose(after.probabilities.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(after.probabilities, before.probabilities, rtol=2e-3, atol=1e-7)
    assert np.array_equal(after.probabilities.argmax(axis=1), before.probabilities.argmax(axis=1))


@pytest.mark.parametrize("gap", [1e-3, 1e-4, 1e-6, 1e-9, 1e-15])
@pytest.mark.parametrize("level", [0.5, 0.4, 0.3334, 0.21, 0.1])
def test_the_predicted_class_is_the_same_also_where_float16_cannot_tell_two_classes_apart(
    tmp_path: Path, level: float, gap: float
) -> None:
    rest = 1 - 2 * level
    rows = [[level - gap, level + gap, *[rest / 8] * 8], [level + gap, level - gap, *[rest / 8] * 8]]
    rows += [[0.1 - gap] * 9 + [0.1 + 9 * gap]]
    before = Predictions(np.array([0, 1, 2]), np.array(rows), np.array(list("abcdefghij")))
    assert reloaded(before, tmp_path).probabilities.argmax(axis=1).tolist() == [1, 0, 9]


def test_predictions_of_the_cifar10_test_split_are_small_and_their_bytes_always_the_same(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        save_predictions(random_predictions(10_000, 10), tmp_path / name)
    assert (tmp_path / "a.npz").stat().st_size < 220_000
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_more_than_256_classes_keep_their_labels(tmp_path: Path) -> None:
    before = random_predictions(500, 300)
    assert np.array_equal(reloaded(before, tmp_path).labels, before.labels)


def test_the_most_confident_mistakes_are_found_with_their_images(tmp_path: Path) -> None:
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.05, 0.95]])
    images = np.arange(4 * 12, dtype=np.uint8).reshape(4, 2, 2, 3)
    mistakes = find_mistakes(Predictions(np.array([0, 1, 0, 0]), probabilities, np.array(["no", "yes"])), images)
    assert mistakes.indices.tolist() == [3, 1, 2]
    assert np.array_equal(mistakes.images, images[[3, 1, 2]])
    save_mistakes(mistakes, tmp_path / "mistakes.npz")
    loaded = load_mistakes(tmp_path / "mistakes.npz")
    assert np.array_equal(loaded.indices, mistakes.indices)
    assert np.array_equal(loaded.images, mistakes.images)


def test_as_many_mistakes_are_kept_as_the_picture_can_show() -> None:
    predictions = random_predictions(1000, 10)
    assert len(find_mistakes(predictions, np.zeros((1000, 1, 1, 1), dtype=np.uint8)).indices) == MISTAKES_KEPT
    values = read_params(ROOT / "params.yaml").plot
    (limit,) = [data.le for data in PlotParams.__pydantic_fields__["mistakes"].metadata if hasattr(data, "le")]  # type: ignore[attr-defined]
    assert values.mistakes <= limit == MISTAKES_KEPT


@pytest.mark.parametrize("keep", [0, 10, 200, -20])
def test_damaged_predictions_and_mistakes_say_which_stage_to_run(tmp_path: Path, keep: int) -> None:
    predictions = random_predictions(50, 3)
    save_predictions(predictions, tmp_path / "predictions.npz")
    save_mistakes(find_mistakes(predictions, np.zeros((50, 2, 2, 1), dtype=np.uint8)), tmp_path / "mistakes.npz")
    for name, load in {"predictions.npz": load_predictions, "mistakes.npz": load_mistakes}.items():
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:keep])
        with pytest.raises(InputError, match=rf"{name}: damaged .*dvc repro --force evaluate"):
            load(tmp_path / name)


def test_every_mistake_has_a_row_with_the_name_of_its_file_the_most_confident_first() -> None:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.95, 0.05]])
    predictions = Predictions(np.array([0, 0, 0, 1]), probabilities, np.array(["no", "yes"]))
    assert mistake_rows(predictions, ["a", "b", "c\n", "d"]) == [
        (3, "d", "yes", "no", 0.95),
        (1, "b", "no", "yes", 0.8),
        (2, r"'c\n'", "no", "yes", 0.6),
    ]
    assert [row[1] for row in mistake_rows(predictions, ())] == ["", "", ""]
