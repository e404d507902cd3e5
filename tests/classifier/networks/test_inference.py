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
