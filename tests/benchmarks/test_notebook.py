from pathlib import Path

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from torch import nn

from benchmarks.notebook import study_network
from classifier.data.partition import stratify
from classifier.data.split import DatasetInfo, Split
from classifier.networks.build import build_network, parameter_count
from classifier.params import Params


def test_the_peer_with_the_weights_of_the_default_design_gives_the_same_logits(params: Params) -> None:
    description = DatasetInfo(tuple("0123456789"), (0.5,) * 3, (0.25,) * 3)
    normalization, *layers = build_network(params.network, (32, 32, 3), description, seed=0)
    ours, theirs = nn.Sequential(*layers), study_network()
    weights = dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True))
    rows = next(name for name, weight in weights.items() if weight.shape == (128, 4096))
    weights[rows] = weights[rows].view(128, 4, 4, 256).permute(0, 3, 1, 2).flatten(1)  # there channels come first
    theirs.load_state_dict(weights)
    inputs = normalization(torch.randint(256, (5, 32, 32, 3), dtype=torch.uint8))
    torch.testing.assert_close(theirs(inputs), ours(inputs), atol=1e-4, rtol=1e-4)
    assert parameter_count(theirs) == 919_930


def test_the_peer_has_the_split_of_the_default_params(params: Params) -> None:
    labels = np.random.default_rng(0).integers(10, size=1000)
    theirs, _ = train_test_split(np.arange(1000), test_size=0.1, stratify=labels.tolist(), random_state=0)
    places = np.arange(1000, dtype=np.int64)
    ours, _ = stratify(Split(places.astype(np.uint8), labels), params.data.validation_fraction, params.data.seed)
    assert ours.labels.tolist() == labels[np.sort(theirs)].tolist()


def test_the_peer_and_params_agree_on_the_rest(params: Params) -> None:
    source = Path("benchmarks/notebook.py").read_text(encoding="utf-8")
    train, augmentation = params.train, params.augmentation
    assert (train.optimizer, train.schedule, train.weight_decay, train.label_smoothing) == ("adam", "constant", 0.0, 0.0)
    assert f"lr={train.learning_rate}" in source
    assert f"batch_size={train.batch_size}" in source
    assert f"padding={augmentation.crop_padding}" in source
    assert (augmentation.flip, augmentation.crop_fill) == (True, "black")


def test_the_accuracy_of_the_peer_is_the_share_it_gets_right() -> None:
    from benchmarks.notebook import test_accuracy as accuracy

    network = torch.nn.Identity()
    batches = [(torch.eye(3), torch.tensor([0, 1, 0])), (torch.eye(3)[:1], torch.tensor([0]))]
    assert accuracy(network, batches) == 0.75  # type: ignore[arg-type]
