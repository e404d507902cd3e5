"""Optimizers: what turns gradients into steps."""

from collections.abc import Iterable

import torch
from torch import nn

from classifier.params import TrainParams


def build_optimizer(params: TrainParams, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Build the optimizer that `params.optimizer` names: Adam (Kingma and Ba, 2014), all its weights in one fused update."""
    return torch.optim.Adam(parameters, lr=params.learning_rate, fused=True)
