"""Optimizers: how gradients change the weights."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from classifier.params import TrainParams

MOMENTUM = 0.9

Tensors = list[Tensor] | tuple[Tensor, ...]


class Muon(torch.optim.Optimizer):
    """Nesterov momentum with orthogonalised steps for convolutions, and plain Nesterov momentum for other parameters.

    Convolutions are the parameters of four dimensions. Those of two are matrices, and all others are treated as biases.

    Kernels are treated as matrices [outputs, inputs x height x width], and scaled to the norm of an orthogonal matrix before
    each step. Weight decay is part of the gradient; it is divided by the relative learning rate of a group of parameters, so
    that it takes the same share of all of them, and does not apply to kernels, whose norm is fixed. Jordan et al., "Muon: An
    optimizer for hidden layers in neural networks" (2024); relative learning rates and momenta, and which parameters decay,
    as in airbench94_muon by the same author.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float, batch_size: int) -> None:
        by_dimensions: dict[int, list[nn.Parameter]] = {4: [], 2: [], 1: []}
        for parameter in parameters:
            if parameter.requires_grad:
                by_dimensions[parameter.ndim if parameter.ndim in by_dimensions else 1].append(parameter)
        matrices, biases = 2.8, 0.22 * batch_size  # airbench sums the loss over a batch, here it is the mean
        groups: list[dict[str, Any]] = [
            {"params": by_dimensions[4], "lr": lr, "momentum": 0.6, "weight_decay": 0.0, "orthogonal": True},
            {"params": by_dimensions[2], "lr": matrices * lr, "momentum": 0.85, "weight_decay": weight_decay / matrices},
            {"params": by_dimensions[1], "lr": biases * lr, "momentum": 0.85, "weight_decay": weight_decay / biases},
        ]
        super().__init__([group for group in groups if group["params"]], {"orthogonal": False})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Update every parameter once."""
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if not parameters:
                continue
            velocities = [self._velocity(parameter) for parameter in parameters]
            gradients: Tensors = [parameter.grad for parameter in parameters]
            # Operations on lists of tensors: for kernels this small, calling an operation takes longer than computing it.
            if group["weight_decay"]:
                gradients = torch._foreach_add(gradients, parameters, alpha=group["weight_decay"])
            torch._foreach_mul_(velocities, group["momentum"])
            torch._foreach_add_(velocities, gradients)
            steps: Tensors = torch._foreach_add(gradients, velocities, alpha=group["momentum"])
            if group["orthogonal"]:
                torch._foreach_div_(parameters, torch._foreach_norm(parameters))
                torch._foreach_mul_(parameters, [len(parameter) ** 0.5 for parameter in parameters])
                # Input channels last, as in memory.
                rows = [step.permute(0, 2, 3, 1) for step in steps]
                matrices = orthogonalize([kernel.flatten(1) for kernel in rows])
                steps = [matrix.view(kernel.shape).permute(0, 3, 1, 2) for matrix, kernel in zip(matrices, rows, strict=True)]
            torch._foreach_add_(parameters, steps, alpha=-group["lr"])

    def _velocity(self, parameter: nn.Parameter) -> Tensor:
        state = self.state[parameter]
        if not state:
            state["velocity"] = torch.zeros_like(parameter)
        velocity: Tensor = state["velocity"]
        return velocity


def orthogonalize(matrices: Sequence[Tensor], iterations: int = 3) -> list[Tensor]:
    """Return for each matrix approximately the nearest one whose rows (or columns, if they are fewer) are orthonormal.

    Newton-Schulz iteration with the quintic polynomial of Jordan et al., "Muon" (2024): the singular values come close to 1
    without converging to it, which is enough for training. An iteration multiplies the matrix X from the left by a polynomial
    of X X^T. Here the iteration runs on the small X X^T, for all matrices of the same number of rows at once, and X is
    multiplied once at the end. float32 [rows, columns] in and out.
    """
    wide = [matrix.T if len(matrix) > matrix.shape[1] else matrix for matrix in matrices]
    by_rows: dict[int, list[int]] = {}
    for index, matrix in enumerate(wide):
        by_rows.setdefault(len(matrix), []).append(index)
    results = list(matrices)
    for indices in by_rows.values():
        square = torch.stack([wide[index] @ wide[index].T for index in indices])
        norm = square.diagonal(dim1=1, dim2=2).sum(dim=1).sqrt()[:, None, None] + 1e-7
        square.div_(norm.square())
        factor = polynomial = _quintic(square)
        for _ in range(iterations - 1):
            square = torch.bmm(torch.bmm(polynomial, square), polynomial)
            polynomial = _quintic(square)
            factor = torch.bmm(polynomial, factor)
        factor.div_(norm)
        for index, matrix_factor in zip(indices, factor, strict=True):
            result = matrix_factor @ wide[index]
            results[index] = result if wide[index] is matrices[index] else result.T
    return results


def _quintic(square: Tensor) -> Tensor:
    """Return the polynomial of X X^T, [N, rows, rows], by which X is multiplied."""
    polynomial = torch.baddbmm(square, square, square, beta=-4.7750, alpha=2.0315)
    polynomial.diagonal(dim1=1, dim2=2).add_(3.4445)
    return polynomial


def build_optimizer(params: TrainParams, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Build the optimizer `params.optimizer`; each group stores its unscheduled learning rate as `initial_lr`.

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
    """Set every learning rate to this share of its unscheduled value, 0 to 1."""
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * factor
