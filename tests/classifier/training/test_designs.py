"""Every design that params.yaml may name trains with every optimizer, resumes, is saved and loaded, and can be frozen."""

import dataclasses
import io
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import torch
from torch import Tensor, nn

from classifier.networks.build import build_network, freezable_parameters
from classifier.networks.model_file import Model, load_model, save_model
from classifier.params import NetworkParams, TrainParams
from classifier.training.trainer import Training
from tests.classifier.training.test_deterministic_operations import RAISING, Recorder
from tests.classifier.training.test_trainer import AIRBENCH, CPU, DESCRIPTION, NO_AUGMENTATION, PARAMS, easy_split, ignore

SHAPE = (8, 8, 1)  # smaller than torchvision's designs take, and of one channel
SMALL = {"study", "airbench", "mobilenet_v3_small", "resnet18", "shufflenet_v2_x1_0", "squeezenet1_1"}
DESIGNS = [
    pytest.param(design, marks=() if design in SMALL else pytest.mark.designs)
    for design in get_args(get_type_hints(NetworkParams)["design"])
]
NOT_DETERMINISTIC = {"alexnet", "vgg16"}  # on CUDA


def start(design: Any, **options: Any) -> Training:
    """Start a training of two epochs of two steps."""
    params = dataclasses.replace(PARAMS, epochs=2, batch_size=6, learning_rate=0.001, **options)
    network = build_network(settings(design), SHAPE, DESCRIPTION, params.seed)
    return Training(network, easy_split(12, 1), easy_split(6, 2), NO_AUGMENTATION, params, CPU)


def settings(design: Any) -> NetworkParams:
    return dataclasses.replace(AIRBENCH, design=design)


def weights(training: Training) -> dict[str, Tensor]:
    return {name: weight.clone() for name, weight in training.network.state_dict().items()}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(weight, second[name]) for name, weight in first.items())


def unchanged(training: Training, before: dict[str, Tensor]) -> set[str]:
    """Return the names of the trained parameters that are as before."""
    return {
        name
        for name, weight in training.network.named_parameters()
        if weight.requires_grad and torch.equal(weight, before[name])
    }


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("optimizer", get_args(get_type_hints(TrainParams)["optimizer"]))
def test_every_optimizer_trains_every_parameter_of_every_design(design: str, optimizer: str) -> None:
    training = start(design, optimizer=optimizer)
    before = weights(training)
    recorder = Recorder()
    with recorder:
        training.run_epoch(ignore)
    parameters = dict(training.network.named_parameters())
    for name in unchanged(training, before):  # by steps that are lost in rounding, as behind convnext's layer scale of 1e-6
        gradient = parameters[name].grad
        assert gradient is not None
        assert gradient.any(), name
        assert training.optimizer.state[parameters[name]], name
        assert gradient.abs().max() < 1e-3, name
    raising = set().union(*RAISING.values()) & recorder.names
    assert raising == ({"_adaptive_avg_pool2d_backward"} if design in NOT_DETERMINISTIC else set())


@pytest.mark.parametrize("design", DESIGNS)
def test_every_design_resumes_to_the_same_bytes_and_is_saved_and_loaded(design: str, tmp_path: Path) -> None:
    whole = start(design)
    saved: list[bytes] = []

    def save(_: int) -> None:
        content = io.BytesIO()
        torch.save(whole.state(), content)
        saved.append(content.getvalue())

    for _ in range(2):
        whole.run_epoch(save)
    torch.manual_seed(5)  # another state than in the training that was not interrupted
    resumed = start(design)
    resumed.restore(torch.load(io.BytesIO(saved[0]), weights_only=True))
    for _ in range(2):
        resumed.run_epoch(ignore)
    assert same(weights(resumed), weights(whole))
    assert same(resumed.best_weights, whole.best_weights)

    save_model(Model(whole.best_weights, settings(design), SHAPE, DESCRIPTION), tmp_path / "classifier.pt")
    network = load_model(tmp_path / "classifier.pt").build()
    whole.measure_best()
    images = whole.validation_images
    with torch.inference_mode():
        assert torch.equal(network(images), whole.network.eval()(images))


@pytest.mark.parametrize("design", DESIGNS)
def test_what_may_be_frozen_is_all_of_a_design_but_its_last_layers(design: str) -> None:
    parts = freezable_parameters(build_network(settings(design), SHAPE, DESCRIPTION, 0))
    training = start(design, freeze=(0.0,) * len(parts))
    before = weights(training)
    training.run_epoch(ignore)
    frozen = {id(parameter) for part in training.freezable for parameter in part}
    names = {name for name, parameter in training.network.named_parameters() if id(parameter) in frozen}
    assert unchanged(training, before) == set()  # of those that are still trained
    trained = [name for name, parameter in training.network.named_parameters() if parameter.requires_grad]
    assert all(torch.equal(before[name], training.network.state_dict()[name]) for name in names)
    assert trained
    assert len(names) + len(trained) == len([each for each in start(design).network.parameters() if each.requires_grad])
    assert not any(isinstance(layer, nn.Conv2d) and name in trained for name, layer in training.network.named_modules())
