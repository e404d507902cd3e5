import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from classifier.training.temperature import fit_temperature


def sample(temperature: float, count: int = 20000) -> tuple[Tensor, Tensor]:
    """Logits of four classes, and labels drawn from their probabilities at this temperature."""
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(count, 4, generator=generator)
    return logits, torch.multinomial((logits / temperature).softmax(dim=1), 1, generator=generator).flatten()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_drew_the_labels_is_found(temperature: float) -> None:
    assert fit_temperature(*sample(temperature)) == pytest.approx(temperature, rel=0.05)


def test_no_other_temperature_has_a_lower_loss_and_the_unit_of_the_logits_does_not_matter() -> None:
    logits, labels = sample(2.5, count=300)
    fitted = fit_temperature(logits, labels)
    least, colder, hotter = (cross_entropy(logits.double() / (fitted * factor), labels) for factor in (1, 0.99, 1.01))
    assert least < colder
    assert least < hotter
    assert fit_temperature(logits * 2, labels) == pytest.approx(2 * fitted)
    assert fit_temperature(logits, labels) == fitted, "the same bits"


def test_the_temperature_stays_between_a_tenth_and_ten() -> None:
    logits, labels = sample(1.0, count=300)
    assert fit_temperature(-logits, labels) == 10, "no better than chance"
    assert fit_temperature(logits * 1000, labels) == 10
    assert fit_temperature(logits / 1000, labels) == 0.1


def test_where_every_image_is_right_no_temperature_is_the_best_and_that_of_1_stays() -> None:
    logits, _ = sample(1.0, count=300)
    assert fit_temperature(logits, logits.argmax(dim=1)) == 1
