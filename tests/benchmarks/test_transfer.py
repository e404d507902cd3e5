import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import transfer
from classifier.data.split import Split, save_dataset_info, save_split
from classifier.networks.build import build_network
from classifier.networks.model_file import Model, save_model
from classifier.training.trainer import Training
from tests.classifier.training.test_trainer import AIRBENCH, CPU, DESCRIPTION, NO_AUGMENTATION, PARAMS, easy_split, ignore


def test_a_start_from_a_model_of_the_same_images_is_worth_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def larger(count: int, seed: int) -> Split:
        split = easy_split(count, seed)
        return Split(split.images.repeat(2, axis=1).repeat(2, axis=2), split.labels)

    network = build_network(AIRBENCH, (16, 16, 1), DESCRIPTION, 0)
    training = Training(network, larger(96, 1), larger(30, 2), NO_AUGMENTATION, PARAMS, CPU)
    for _ in range(8):
        training.run_epoch(ignore)
    save_model(Model(training.best_weights, AIRBENCH, (16, 16, 1), DESCRIPTION), tmp_path / "model.pt")
    for name, seed in (("train", 3), ("validation", 4), ("test", 5)):
        save_split(larger(60, seed), tmp_path / f"{name}.safetensors")
    save_dataset_info(DESCRIPTION, tmp_path / "dataset.json")
    options = [
        "--images",
        "2",
        "--seeds",
        "2",
        "-S",
        "train.epochs=1",
        "-S",
        "train.device=cpu",
        "-S",
        "train.precision=float32",
    ]
    monkeypatch.setattr(sys, "argv", ["transfer", str(tmp_path / "model.pt"), "--data", str(tmp_path), *options])
    transfer.main()
    scratch, pretrained = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert [len(each["accuracies"]) for each in (scratch, pretrained)] == [2, 2]
    assert pretrained["mean"] > scratch["mean"]


def test_few_images_of_each_class_are_others_with_each_seed() -> None:
    split = easy_split(60, 1)
    first, same, other = (transfer.few(split, 4, seed) for seed in (1, 1, 2))
    assert np.bincount(first.labels).tolist() == [4, 4, 4]
    assert np.array_equal(first.images, same.images)
    assert not np.array_equal(first.images, other.images)
