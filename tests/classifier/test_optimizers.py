import dataclasses
from typing import Literal

import pytest
import torch
from torch import nn

from classifier.optimizers import build_optimizer
from classifier.params import Params


def step(params: Params, optimizer: Literal["adam", "sgd"], decay: float, gradients: list[float]) -> float:
    """Return where a weight of 1 is after steps of the learning rate 0.1 with these gradients."""
    weight = nn.Parameter(torch.ones(1))
    settings = dataclasses.replace(params.train, optimizer=optimizer, learning_rate=0.1, weight_decay=decay)
    built = build_optimizer(settings, [weight])
    for gradient in gradients:
        weight.grad = torch.full((1,), float(gradient))
        built.step()
    return weight.item()


def test_adam_steps_by_the_learning_rate_whatever_the_size_of_the_gradient(params: Params) -> None:
    assert step(params, "adam", 0, [5]) == pytest.approx(0.9)
    assert step(params, "adam", 0, [-0.01]) == pytest.approx(1.1)


def test_adams_weight_decay_is_apart_from_the_gradient(params: Params) -> None:
    assert step(params, "adam", 0.5, [5]) == pytest.approx(1 - 0.1 * 0.5 - 0.1)


def test_sgd_steps_with_nesterov_momentum(params: Params) -> None:
    # Velocity 2, then 0.9 * 2 + 2; each step looks ahead by adding 0.9 of the velocity to the gradient.
    assert step(params, "sgd", 0, [2]) == pytest.approx(1 - 0.1 * (2 + 0.9 * 2))
    assert step(params, "sgd", 0, [2, 2]) == pytest.approx(0.62 - 0.1 * (2 + 0.9 * 3.8))


def test_the_weight_decay_of_sgd_is_part_of_the_gradient(params: Params) -> None:
    assert step(params, "sgd", 0.5, [0]) == pytest.approx(1 - 0.1 * 0.5 * 1.9)
