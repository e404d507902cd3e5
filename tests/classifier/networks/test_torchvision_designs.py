import re
from itertools import pairwise
from typing import Any, get_args

import pytest
import torch
from torch import nn

from classifier.networks.build import build_network, parameter_count
from classifier.networks.torchvision_designs import OTHER_SIDES, SIDES, blocks
from classifier.params import NetworkParams, TorchvisionDesign
from tests.classifier.networks.helpers import THREE_CHANNELS, layers
from tests.conftest import ROOT

PAGE = (ROOT / "docs/networks.md").read_text(encoding="utf-8")
DESIGNS = get_args(TorchvisionDesign)


def build(design: Any) -> nn.Sequential:
    params = NetworkParams(design, (4,), "relu", True, 0.5, True, 1, 3, "none")
    return build_network(params, (8, 8, 3), THREE_CHANNELS, seed=0)


def row(design: Any) -> str:
    """Return the row of the table of designs."""
    network = build(design)
    names = list(blocks(network[2]))
    numbers = [re.fullmatch(r"(.*?)(\d+)", name) for name in names]
    runs = [[names[0]]]
    for (name, number), (following, next_number) in pairwise(zip(names, numbers, strict=True)):
        assert name != following
        if number and next_number and number[1] == next_number[1] and int(number[2]) + 1 == int(next_number[2]):
            runs[-1].append(following)
        else:
            runs.append([following])
    listed = ", ".join(run[0] if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)
    fewest, most = SIDES.get(design, OTHER_SIDES)
    sides = f"exactly {fewest}" if fewest == most else f"{fewest}"
    return f"| `{design}` | {parameter_count(network):,} | {sides} | {len(names)}: {listed} |"


@pytest.mark.designs
@pytest.mark.parametrize("design", DESIGNS)
def test_the_docs_list_the_blocks_of_a_design(design: str) -> None:
    assert row(design) in PAGE.splitlines(), f"docs/networks.md should contain\n{row(design)}"


def test_the_docs_list_every_design_and_no_other() -> None:
    assert re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE) == list(DESIGNS)


def test_a_model_of_torchvision_stands_behind_normalisation_and_scaling_and_before_the_scale_of_the_logits() -> None:
    network = build("squeezenet1_1")
    assert layers(network) == "Normalization Scaling SqueezeNet Scale"
    assert network.eval()(torch.zeros(3, 8, 8, 3, dtype=torch.uint8)).shape == (3, 10)


def test_a_normalisation_belongs_to_the_block_before_it_and_what_is_in_no_module_to_the_first() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token = nn.Parameter(torch.zeros(1, 1, 2))
            self.features = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2))
            self.head = nn.Linear(2, 2)

    found = blocks(Model())
    assert {name: [parameter.ndim for parameter in each] for name, each in found.items()} == {
        "features.0": [4, 1, 3],
        "features.2": [4, 1, 1, 1],
    }
