import torch

from classifier.augmentation import augment
from classifier.params import AugmentationParams


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def distinct_images(count: int, height: int = 6, width: int = 8) -> torch.Tensor:
    """Images whose pixels tell their row (channel 0), column (channel 1) and image (channel 2), all above 0."""
    images = torch.zeros(count, height, width, 3, dtype=torch.uint8)
    images[..., 0] = torch.arange(1, height + 1)[:, None]
    images[..., 1] = torch.arange(1, width + 1)
    images[..., 2] = torch.arange(1, count + 1)[:, None, None]
    return images


def test_nothing_asked_for_is_nothing_done() -> None:
    images = distinct_images(5)
    assert torch.equal(augment(images, AugmentationParams(flip=False, crop_padding=0), generator()), images)


def test_a_flip_mirrors_about_half_of_the_images_left_to_right() -> None:
    images = distinct_images(200)
    result = augment(images, AugmentationParams(flip=True, crop_padding=0), generator())
    kept = (result == images).flatten(1).all(1)
    mirrored = (result == images.flip(2)).flatten(1).all(1)
    assert torch.equal(kept, ~mirrored)
    assert 70 <= mirrored.sum() <= 130


def test_a_crop_shifts_by_every_offset_up_to_the_padding_and_fills_with_black() -> None:
    images = distinct_images(200)
    height, width = images.shape[1:3]
    result = augment(images, AugmentationParams(flip=False, crop_padding=2), generator())
    offsets = set()
    for image, shifted in zip(images, result, strict=True):
        inside = shifted[..., 2] > 0
        row, column = (int(places[0]) for places in torch.nonzero(inside, as_tuple=True))
        down, right = row - (int(shifted[row, column, 0]) - 1), column - (int(shifted[row, column, 1]) - 1)
        offsets.add((down, right))
        expected = torch.zeros_like(image)
        expected[max(down, 0) : height + down, max(right, 0) : width + right] = image[
            max(-down, 0) : height - down, max(-right, 0) : width - right
        ][: height - abs(down), : width - abs(right)]
        assert torch.equal(shifted, expected)
    assert offsets == {(down, right) for down in range(-2, 3) for right in range(-2, 3)}


def test_the_same_generator_gives_the_same_images_and_another_gives_others() -> None:
    images, params = distinct_images(50), AugmentationParams(flip=True, crop_padding=2)
    assert torch.equal(augment(images, params, generator(1)), augment(images, params, generator(1)))
    assert not torch.equal(augment(images, params, generator(1)), augment(images, params, generator(2)))


def test_the_images_given_stay_as_they_are() -> None:
    images = distinct_images(20)
    before = images.clone()
    augment(images, AugmentationParams(flip=True, crop_padding=2), generator())
    assert torch.equal(images, before)
