from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from classifier.data.split import DatasetInfo
from classifier.networks.build import build_network, fit_whitening
from classifier.networks.layers import GlobalMaxPool, Normalization, Scaling, Whitening
from classifier.params import NetworkParams
from tests.classifier.networks.helpers import THREE_CHANNELS


def test_normalisation_gives_the_training_images_mean_0_and_deviation_1() -> None:
    images = torch.randint(256, (50, 8, 8, 3), dtype=torch.uint8)
    scaled = images.float() / 255
    mean, std = scaled.mean(dim=(0, 1, 2)), scaled.std(dim=(0, 1, 2), correction=0)
    result = Normalization(mean.tolist(), std.tolist())(images)
    assert result.shape == (50, 3, 8, 8)
    assert result.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(result.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(result.std(dim=(0, 2, 3), correction=0), torch.ones(3), atol=1e-5, rtol=0)


def test_whitened_patches_are_uncorrelated_and_of_variance_1_in_both_signs() -> None:
    noise = torch.rand(200, 8, 8, 3, generator=torch.Generator().manual_seed(0))
    images = ((noise + noise.roll(1, 1) + noise.roll(1, 2)) / 3 * 255).to(torch.uint8)
    flat = (images.float() / 255).flatten(0, 2)
    description = DatasetInfo(THREE_CHANNELS.class_names, tuple(flat.mean(0).tolist()), tuple(flat.std(0).tolist()))
    network = build_network(
        NetworkParams("airbench", (8, 16), "gelu", True, 1.0, True, 1, 3, "none"), (8, 8, 3), description, seed=0
    )
    fit_whitening(network, images)
    outputs = network[:2](images).permute(0, 2, 3, 1).flatten(0, 2)
    assert outputs.shape[1] == 24
    torch.testing.assert_close(outputs[:, :12], -outputs[:, 12:])
    torch.testing.assert_close(outputs[:, :12].T @ outputs[:, :12] / len(outputs), torch.eye(12), atol=0.02, rtol=0)
    assert isinstance(network[1], Whitening)
    assert not network[1].weight.requires_grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(5, 8, 4, 3), (5, 8, 1, 1), (1, 3, 2, 5)])
def test_the_global_maximum_and_its_gradient_are_those_of_adaptive_pooling_also_where_maxima_are_equal(
    shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    values = torch.randint(3, shape).to(dtype).to(memory_format=torch.channels_last)
    results = []
    for layer in (GlobalMaxPool(), nn.AdaptiveMaxPool2d(1)):
        leaf = values.clone().requires_grad_()
        maxima = layer(leaf)
        (maxima * torch.arange(maxima.numel()).view(maxima.shape)).sum().backward()
        results.append((maxima, leaf.grad))
    assert results[0][0].shape == (*shape[:2], 1, 1)
    for ours, theirs in zip(*results, strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (
            torch.rand(2, 8, 8, 3),
            TypeError,
            "a tensor of uint8 with values from 0 to 255, .* got torch.float32; the network norm",
        ),
        (torch.zeros(2, 8, 8, 3, dtype=torch.int64), TypeError, "got torch.int64"),
        (np.zeros((2, 8, 8, 3), dtype=np.uint8), TypeError, "should be a tensor of uint8"),
        (torch.zeros(2, 3, 8, 8, dtype=torch.uint8), ValueError, r"channels last, got \[2, 3, 8, 8\]"),
        (torch.zeros(8, 8, 3, dtype=torch.uint8), ValueError, r"\[number, height, width, 3\], channels last, got \[8, 8, 3\]"),
        (torch.zeros(2, 8, 8, 1, dtype=torch.uint8), ValueError, r"got \[2, 8, 8, 1\]"),
    ],
)
def test_images_of_another_type_range_or_layout_are_refused(images: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Normalization((0.5,) * 3, (0.25,) * 3)(images)


def test_images_of_one_channel_are_repeated_for_each_mean() -> None:
    layer = Normalization((0.5, 0.25, 0.0), (0.5, 0.5, 1.0), channels=1)
    images = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1)
    assert layer(images).flatten(1).tolist() == [[-1.0, -0.5, 0.0], [1.0, 1.5, 1.0]]
    with pytest.raises(ValueError, match=r"\[number, height, width, 1\], channels last, got \[2, 1, 1, 3\]"):
        layer(images.expand(2, 1, 1, 3))


def test_scaling_brings_each_side_between_the_fewest_and_the_most_pixels() -> None:
    images = torch.rand(2, 3, 8, 40).contiguous(memory_format=torch.channels_last)
    assert Scaling(4, 64)(images) is images
    assert Scaling(16, 64)(images).shape == (2, 3, 16, 40)
    assert Scaling(16, 16)(images).shape == (2, 3, 16, 16)
    flat = torch.full((1, 3, 8, 8), 0.5)
    assert torch.equal(Scaling(32, 64)(flat), torch.full((1, 3, 32, 32), 0.5))
    stripes = torch.zeros(1, 1, 64, 64)
    stripes[..., ::2] = 1
    assert (Scaling(16, 16)(stripes) - 0.5).abs().max() < 0.15, "antialiased"
