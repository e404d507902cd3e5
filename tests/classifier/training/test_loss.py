import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from classifier.training.loss import class_weights, imbalance, training_loss

LABELS = np.array([0, 0, 0, 1, 3])


def test_balanced_weights_give_every_class_the_same_share_and_the_training_images_the_mean_1() -> None:
    weights = class_weights("balanced", LABELS)
    assert weights is not None
    assert weights.dtype == torch.float32
    assert weights.tolist() == pytest.approx([5 / 9, 5 / 3, 0, 5 / 3]), "a class without images has no weight"
    assert weights[LABELS].mean().item() == pytest.approx(1)


def test_classes_of_one_size_have_the_weight_1_and_none_gives_no_weights() -> None:
    weights = class_weights("balanced", np.array([2, 1, 0, 0, 1, 2]))
    assert weights is not None
    assert weights.tolist() == [1, 1, 1]
    assert class_weights("none", LABELS) is None


@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
def test_the_weighted_loss_is_the_sum_over_the_number_of_images_not_over_the_weights(label_smoothing: float) -> None:
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    labels, weights = torch.tensor([0, 0, 0, 2]), torch.tensor([0.5, 0.25, 4.0])
    loss = training_loss(logits, labels, label_smoothing, weights)
    targets = torch.nn.functional.one_hot(labels, 3) * (1 - label_smoothing) + label_smoothing / 3
    losses = -(targets * logits.log_softmax(dim=1)).sum(dim=1)
    expected = (0.5 * losses[:3].sum() + 4 * losses[3]) / 4
    assert loss.item() == pytest.approx(expected.item())
    (gradient,), (expected_gradient,) = torch.autograd.grad(loss, logits), torch.autograd.grad(expected, logits)
    assert torch.allclose(gradient, expected_gradient)


def test_without_weights_the_loss_is_pytorchs_bit_for_bit() -> None:
    logits = torch.randn(1000, 10, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(1000) % 10
    for smoothing in (0.0, 0.1):
        expected = cross_entropy(logits, labels, label_smoothing=smoothing)
        assert torch.equal(training_loss(logits, labels, smoothing, None), expected)


@pytest.mark.parametrize(
    ("counts", "line"),
    [
        ((9, 90, 20), "b has 90 training images and a 9"),
        ((9, 89, 20), ""),
        ((1, 1, 0), "a has 1 training image and c 0"),
        ((1000, 1000, 1), "a has 1,000 training images and c 1"),
    ],
)
def test_classes_of_very_different_sizes_are_named(counts: tuple[int, ...], line: str) -> None:
    assert imbalance(np.repeat(np.arange(3), counts), ("a", "b", "c")) == line
