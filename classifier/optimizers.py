"""Optimizers: what turns gradients into steps."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from classifier.params import TrainParams

MOMENTUM = 0.9


class Muon(torch.optim.Optimizer):
    """Nesterov momentum whose steps for convolutions are made orthogonal; plain Nesterov momentum for all else.

    Kernels are taken as matrices [outputs, inputs x height x width], and each is brought back to the norm of an orthogonal
    matrix before its step. Weight decay is part of the gradient; it takes the same share of every other parameter, whatever
    the rate of its kind, and nothing of kernels, whose norm is set anyway. Jordan et al., "Muon: An optimizer for hidden
    layers in neural networks" (2024); rates and momenta relative to one another, and where weights decay, as in
    airbench94_muon of the same author.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float, batch_size: int) -> None:
        kinds: dict[int, list[nn.Parameter]] = {4: [], 2: [], 1: []}
        for parameter in parameters:
            if parameter.requires_grad:
                kinds[parameter.ndim].append(parameter)
        matrices, biases = 2.8, 0.22 * batch_size  # There the loss is the sum over a batch, here the mean.
        groups: list[dict[str, Any]] = [
            {"params": kinds[4], "lr": lr, "momentum": 0.6, "weight_decay": 0.0, "orthogonal": True},
            {"params": kinds[2], "lr": matrices * lr, "momentum": 0.85, "weight_decay": weight_decay / matrices},
            {"params": kinds[1], "lr": biases * lr, "momentum": 0.85, "weight_decay": weight_decay / biases},
        ]
        super().__init__([group for group in groups if group["params"]], {"orthogonal": False})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Change every parameter once."""
        for group in self.param_groups:
            for parameter in group["params"]:
                gradient = parameter.grad
                if gradient is None:
                    continue
                if group["weight_decay"]:
                    gradient = gradient.add(parameter, alpha=group["weight_decay"])
                state = self.state[parameter]
                if not state:
                    state["velocity"] = torch.zeros_like(parameter)
                velocity = state["velocity"].mul_(group["momentum"]).add_(gradient)
                step = gradient.add(velocity, alpha=group["momentum"])
                if group["orthogonal"]:
                    parameter.mul_(len(parameter) ** 0.5 / parameter.norm())
                    # Inputs last, as they lie in memory.
                    rows = step.permute(0, 2, 3, 1)
                    step = orthogonalize(rows.flatten(1)).view(rows.shape).permute(0, 3, 1, 2)
                parameter.add_(step, alpha=-group["lr"])


def orthogonalize(matrix: Tensor, iterations: int = 3) -> Tensor:
    """Return about the nearest matrix whose rows, or columns if they are fewer, are orthogonal and of length 1.

    Newton-Schulz iteration with the quintic of Jordan et al., "Muon" (2024): singular values go to the neighbourhood of 1, not
    to 1 itself, which is all that training needs. An iteration multiplies the matrix X by a polynomial of X X^T from the left;
    here the small X X^T is iterated, and X multiplied once, at the end. float32 [rows, columns] in and out.
    """
    tall = len(matrix) > matrix.shape[1]
    wide = (matrix.T if tall else matrix) / (matrix.norm() + 1e-7)
    square = wide @ wide.T
    factor = polynomial = _quintic(square)
    for _ in range(iterations - 1):
        square = polynomial @ square @ polynomial
        polynomial = _quintic(square)
        factor = polynomial @ factor
    result: Tensor = factor @ wide
    return result.T if tall else result


def _quintic(square: Tensor) -> Tensor:
    """Return the polynomial that multiplies X, of X X^T."""
    polynomial = torch.addmm(square, square, square, beta=-4.7750, alpha=2.0315)
    polynomial.diagonal().add_(3.4445)
    return polynomial


def build_optimizer(params: TrainParams, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Build the optimizer that `params.optimizer` names; each group keeps its full learning rate as `initial_lr`.

    adam
        Kingma and Ba, "Adam" (2014), with decoupled weight decay as in Loshchilov and Hutter, "Decoupled Weight Decay
        Regularization" (2017).
    sgd
        Stochastic gradient descent with Nesterov momentum 0.9 (Sutskever et al., "On the importance of initialization and
        momentum in deep learning", 2013); weight decay is part of the gradient.
    muon
        `Muon`.
    """
    rate, decay = params.learning_rate, params.weight_decay
    optimizer: torch.optim.Optimizer
    match params.optimizer:
        case "adam":
            optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=decay, fused=True)
        case "sgd":
            optimizer = torch.optim.SGD(parameters, lr=rate, weight_decay=decay, momentum=MOMENTUM, nesterov=True, fused=True)
        case "muon":
            optimizer = Muon(parameters, rate, decay, params.batch_size)
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    return optimizer


def set_rate_factor(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set every learning rate to this share of its full value."""
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * factor
