"""Optimizers: what turns gradients into steps."""

from collections.abc import Iterable

import torch
from torch import nn

from classifier.params import TrainParams

MOMENTUM = 0.9


def build_optimizer(params: TrainParams, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Build the optimizer that `params.optimizer` names, with all weights in one fused update.

    adam
        Kingma and Ba, "Adam" (2014), with decoupled weight decay as in Loshchilov and Hutter, "Decoupled Weight Decay
        Regularization" (2017).
    sgd
        Stochastic gradient descent with Nesterov momentum 0.9 (Sutskever et al., "On the importance of initialization and
        momentum in deep learning", 2013); weight decay is part of the gradient.
    """
    rate, decay = params.learning_rate, params.weight_decay
    match params.optimizer:
        case "adam":
            return torch.optim.AdamW(parameters, lr=rate, weight_decay=decay, fused=True)
        case "sgd":
            return torch.optim.SGD(parameters, lr=rate, weight_decay=decay, momentum=MOMENTUM, nesterov=True, fused=True)
