import dataclasses
from typing import Literal

import pytest
import torch
from torch import nn

from classifier.params import Params
from classifier.training.optimizers import build_optimizer, orthogonalize, set_rate_factor


def step(params: Params, optimizer: Literal["adam", "sgd", "muon"], decay: float, gradients: list[float]) -> float:
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


@pytest.mark.parametrize("shape", [(8, 50), (50, 8), (16, 16)])
def test_an_orthogonalised_matrix_has_singular_values_about_1(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    [result] = orthogonalize([matrix], iterations=5)
    values = torch.linalg.svdvals(result)
    assert result.dtype == torch.float32
    assert 0.5 < values.min() < values.max() < 1.5
    # Same singular vectors: the product with the transpose is symmetric and positive.
    product = matrix @ result.T if shape[0] <= shape[1] else matrix.T @ result
    torch.testing.assert_close(product, product.T, atol=0.05 * product.norm().item(), rtol=0)


def test_orthogonalizing_many_by_their_small_squares_is_the_published_iteration_of_each() -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = [(8, 50), (8, 30), (50, 8), (16, 16), (3, 5)]
    matrices = [torch.randn(shape, generator=generator) * 10**power for power, shape in enumerate(shapes)]
    for matrix, result in zip(matrices, orthogonalize(matrices), strict=True):
        expected = matrix.double() / matrix.double().norm()
        for _ in range(3):
            square = expected @ expected.T
            expected = 3.4445 * expected + (-4.7750 * square + 2.0315 * square @ square) @ expected
        torch.testing.assert_close(result, expected.float(), atol=1e-4, rtol=0)


def test_no_gradient_has_no_direction() -> None:
    [result] = orthogonalize([torch.zeros(4, 9)])
    assert torch.equal(result, torch.zeros(4, 9))


def test_muon_steps_convolutions_orthogonally_and_all_else_by_the_gradient(params: Params) -> None:
    settings = dataclasses.replace(params.train, optimizer="muon", learning_rate=0.1, weight_decay=0.0)
    kernel = nn.Parameter(torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(0)))
    matrix, bias = nn.Parameter(torch.ones(2, 3)), nn.Parameter(torch.ones(5))
    fixed = nn.Parameter(torch.ones(5), requires_grad=False)
    optimizer = build_optimizer(settings, [kernel, matrix, bias, fixed])
    before = kernel.detach() * 4**0.5 / kernel.detach().norm()
    for parameter in (kernel, matrix, bias):
        parameter.grad = torch.full_like(parameter, 2.0)
    kernel.grad = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(1)) * 1000
    optimizer.step()
    step = (before - kernel.detach()) / 0.1
    values = torch.linalg.svdvals(step.flatten(1))
    assert 0.3 < values.min() < values.max() < 1.5, "the size of the gradient must not matter"
    assert matrix[0, 0].item() == pytest.approx(1 - 0.28 * (2 + 0.85 * 2))
    assert bias[0].item() == pytest.approx(1 - 0.022 * params.train.batch_size * (2 + 0.85 * 2))
    assert torch.equal(fixed, torch.ones(5))


def test_the_weight_decay_of_muon_takes_the_same_share_of_all_but_convolutions(params: Params) -> None:
    kernel, matrix, bias = (nn.Parameter(torch.ones(shape)) for shape in ((4, 3, 3, 3), (2, 3), (5,)))
    settings = dataclasses.replace(params.train, optimizer="muon", learning_rate=0.1, weight_decay=0.5)
    optimizer = build_optimizer(settings, [kernel, matrix, bias])
    for parameter in (kernel, matrix, bias):
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    torch.testing.assert_close(matrix.detach(), torch.full((2, 3), 1 - 0.1 * 0.5 * 1.85))
    torch.testing.assert_close(bias.detach(), torch.full((5,), 1 - 0.1 * 0.5 * 1.85))
    torch.testing.assert_close(kernel.detach(), torch.full((4, 3, 3, 3), (4 / kernel.numel()) ** 0.5))


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "muon"])
def test_the_rate_of_every_group_falls_alike(params: Params, optimizer: Literal["adam", "sgd", "muon"]) -> None:
    weights = [nn.Parameter(torch.ones(shape)) for shape in ((2, 2, 3, 3), (2, 2), (2,))]
    built = build_optimizer(dataclasses.replace(params.train, optimizer=optimizer), weights)
    full = [group["lr"] for group in built.param_groups]
    for factor in (0.5, 0.25):
        set_rate_factor(built, factor)
        assert [group["lr"] for group in built.param_groups] == [rate * factor for rate in full]


def test_muon_takes_parameters_of_three_dimensions_as_it_takes_biases(params: Params) -> None:
    settings = dataclasses.replace(params.train, optimizer="muon", weight_decay=0.01)
    values = torch.arange(1.0, 7.0)
    results = []
    for shape in ((6,), (6, 1, 1), (1, 2, 3, 1, 1)):
        parameter = nn.Parameter(values.clone().view(shape))
        optimizer = build_optimizer(settings, [parameter])
        for _ in range(2):
            parameter.grad = torch.sin(parameter.detach())
            optimizer.step()
        results.append(parameter.detach().flatten())
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])
    assert not torch.equal(results[0], values)
