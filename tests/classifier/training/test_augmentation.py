import pytest
import torch

from classifier.params import AugmentationParams
from classifier.runtime.errors import InputError
from classifier.training.augmentation import augment, scale


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
    assert torch.equal(augment(images, AugmentationParams(flip=False, crop_padding=0, crop_fill="black"), generator()), images)


def test_a_flip_mirrors_about_half_of_the_images_left_to_right() -> None:
    images = distinct_images(200)
    result = augment(images, AugmentationParams(flip=True, crop_padding=0, crop_fill="black"), generator())
    kept = (result == images).flatten(1).all(1)
    mirrored = (result == images.flip(2)).flatten(1).all(1)
    assert torch.equal(kept, ~mirrored)
    assert 70 <= mirrored.sum() <= 130


def test_a_crop_shifts_by_every_offset_up_to_the_padding_and_fills_with_black() -> None:
    images = distinct_images(200)
    height, width = images.shape[1:3]
    result = augment(images, AugmentationParams(flip=False, crop_padding=2, crop_fill="black"), generator())
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
    images, params = distinct_images(50), AugmentationParams(flip=True, crop_padding=2, crop_fill="black")
    assert torch.equal(augment(images, params, generator(1)), augment(images, params, generator(1)))
    assert not torch.equal(augment(images, params, generator(1)), augment(images, params, generator(2)))


def test_the_images_given_stay_as_they_are() -> None:
    images = distinct_images(20)
    before = images.clone()
    augment(images, AugmentationParams(flip=True, crop_padding=2, crop_fill="black"), generator())
    assert torch.equal(images, before)


def test_a_reflected_crop_shifts_the_image_as_a_mirror_on_its_border_does() -> None:
    images = distinct_images(200)
    result = augment(images, AugmentationParams(flip=False, crop_padding=2, crop_fill="reflection"), generator())
    border = torch.nn.functional.pad(images.movedim(3, 1).float(), (2, 2, 2, 2), mode="reflect").movedim(1, 3).to(torch.uint8)
    height, width = images.shape[1:3]
    offsets = set()
    for number, shifted in enumerate(result):
        offsets |= {
            (down, right)
            for down in range(5)
            for right in range(5)
            if torch.equal(shifted, border[number, down : down + height, right : right + width])
        }
    assert offsets == {(down, right) for down in range(5) for right in range(5)}


def test_an_image_too_small_for_its_reflection_is_refused() -> None:
    with pytest.raises(InputError, match=r"crop_padding: should be less than 6 .* images have 6x8 pixels, got 6"):
        augment(distinct_images(2), AugmentationParams(flip=False, crop_padding=6, crop_fill="reflection"), generator())


def test_a_flip_mirrors_the_images_it_is_told_to() -> None:
    images, mirrored = distinct_images(20), torch.arange(20) % 3 == 0
    result = augment(images, AugmentationParams(flip="alternating", crop_padding=0, crop_fill="black"), generator(), mirrored)
    assert torch.equal(result[mirrored], images[mirrored].flip(2))
    assert torch.equal(result[~mirrored], images[~mirrored])


def test_scaling_keeps_flat_areas_and_the_places_of_light_and_dark() -> None:
    images = torch.full((2, 8, 8, 3), 20, dtype=torch.uint8)
    images[1, :, 4:] = 220
    result = scale(images, 4)
    assert (result.dtype, result.shape) == (torch.uint8, (2, 4, 4, 3))
    assert (result[0] == 20).all()
    assert (result[1, :, 0] == 20).all()
    assert (result[1, :, 3] == 220).all()
    assert scale(images, 8) is images
