import dataclasses
from pathlib import Path
from typing import get_args, get_type_hints

import torch

from classifier.networks import build
from classifier.networks.build import build_network, freezable_parameters
from classifier.networks.layers import ACTIVATIONS
from classifier.params import NetworkParams, TorchvisionDesign
from tests.classifier.networks.helpers import THREE_CHANNELS, layers


def test_the_seed_alone_decides_the_initial_weights_and_the_global_generator_stays() -> None:
    params = NetworkParams("study", (4, 8), "relu", False, 1.0, True, 16, 3, "none")
    state = torch.get_rng_state()
    first, same, other = (build_network(params, (8, 8, 3), THREE_CHANNELS, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), same.parameters(), strict=True))
    assert not torch.equal(next(first.parameters()), next(other.parameters()))


def test_whitening_and_a_scale_of_the_logits_stand_around_the_layers_of_a_design() -> None:
    plain = NetworkParams("study", (4, 8), "relu", False, 1.0, True, 16, 3, "none")
    whole = dataclasses.replace(plain, whitening=True, logit_scale=0.5)
    inner = layers(build_network(plain, (8, 8, 3), THREE_CHANNELS, seed=0)).removeprefix("Normalization ")
    assert layers(build_network(whole, (9, 9, 3), THREE_CHANNELS, seed=0)) == f"Normalization Whitening ReLU {inner} Scale"


def test_the_parameters_of_a_convolution_come_with_those_of_the_normalisation_behind_it() -> None:
    network = build_network(
        NetworkParams("study", (4, 8), "relu", True, 1.0, True, 16, 3, "none"), (8, 8, 3), THREE_CHANNELS, seed=0
    )
    # Weight and bias of the first convolution; of the second one, then scale and bias of its normalisation. No whitening.
    assert [[parameter.ndim for parameter in group] for group in freezable_parameters(network)] == [[4, 1], [4, 1, 1, 1]]


def test_every_design_and_activation_of_this_program_can_be_built_and_no_other() -> None:
    types = get_type_hints(NetworkParams)
    designs = set(get_args(types["design"])) - set(get_args(TorchvisionDesign))
    activations = get_args(types["activation"])
    assert set(activations) == set(ACTIVATIONS)
    folder = Path(build.__file__).parent
    assert all((folder / f"{design}.py").is_file() for design in designs), "a module per design"
    params = NetworkParams("study", (4, 8), "relu", False, 1.0, True, 16, 3, "none")
    built = {
        layers(build_network(dataclasses.replace(params, design=design, activation=activation), (8, 8, 3), THREE_CHANNELS, 0))
        for design in designs
        for activation in activations
    }
    assert len(built) == len(designs) * len(activations), "each is another network"
