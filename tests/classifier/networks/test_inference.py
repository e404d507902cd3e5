import pytest
import torch
from torch import Tensor, nn

from classifier.networks.device import Device
from classifier.networks.inference import predict
from classifier.params import Views

CPU = Device("cpu", "float32")


class Corner(nn.Module):
    """Gives the four corner pixels as logits."""

    def forward(self, images: Tensor) -> Tensor:
        return images[:, [0, 0, -1, -1], [0, -1, 0, -1], 0].float()


@pytest.mark.parametrize(
    ("views", "expected"),
    [
        ("plain", [0, 2, 6, 8]),
        ("mirrored", [1, 1, 7, 7]),
        # A pixel down and right: 4, 4, 4, 4 (mirrored alike); up and left likewise; of a quarter weight in the mean each.
        ("shifted", [0.5 * 1 + 0.5 * 4, 0.5 * 1 + 0.5 * 4, 0.5 * 7 + 0.5 * 4, 0.5 * 7 + 0.5 * 4]),
    ],
)
def test_the_logits_of_the_views_are_averaged(views: Views, expected: list[float]) -> None:
    images = torch.arange(9, dtype=torch.uint8).view(1, 3, 3, 1)
    assert predict(Corner(), images, CPU, views)[0].tolist() == expected


@pytest.mark.parametrize(("size", "expected"), [(8, 1000), (32, 1000), (33, 940), (96, 111), (224, 20), (2000, 1)])
def test_batches_are_bounded_by_pixels_and_at_32x32_have_1000_images(size: int, expected: int) -> None:
    seen: list[int] = []

    class Counting(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            seen.append(len(images))
            return torch.zeros(len(images), 2)

    images = torch.zeros(1, 1, 1, 3, dtype=torch.uint8).expand(expected + 1, size, size, 3)
    assert predict(Counting(), images, CPU).shape == (expected + 1, 2)
    assert seen == [expected, 1]
