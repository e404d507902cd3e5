import dataclasses
import io
import struct
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from classifier.data.image_folder import UnreadableImage, fit_image, read_image, write_splits
from classifier.data.image_pack import pack, scan
from classifier.data.partition import channel_statistics
from classifier.data.registry import PACK
from classifier.data.split import DatasetInfo, load_split
from classifier.params import DataParams, Fit, Params
from classifier.runtime.errors import InputError

# Four colours that differ in every corner, and in lossy formats stay close to what they were.
CORNERS = np.zeros((32, 48, 3), np.uint8)
CORNERS[:16, :24], CORNERS[:16, 24:], CORNERS[16:, :24], CORNERS[16:, 24:] = (200, 30, 30), (30, 200, 30), (30, 30, 200), 128


def encoded(image: Image.Image, kind: str, **options: Any) -> io.BytesIO:
    content = io.BytesIO()
    image.save(content, kind, **options)
    content.seek(0)
    return content


def pixels(source: Path | io.BytesIO) -> Any:
    image = read_image(source)
    assert image.mode == "RGB"
    return np.asarray(image).astype(int)


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *chunks: tuple[bytes, bytes]) -> io.BytesIO:
    """Return a PNG of kinds that Pillow cannot write; `rows` without the filter bytes."""
    length = len(rows) // height
    data = b"".join(b"\0" + rows[start : start + length] for start in range(0, len(rows), length))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n"
    for kind, value in ((b"IHDR", header), *chunks, (b"IDAT", zlib.compress(data)), (b"IEND", b"")):
        content += struct.pack(">I", len(value)) + kind + value + struct.pack(">I", zlib.crc32(kind + value))
    return io.BytesIO(content)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "JPEG", "WEBP"])
def test_colours_are_those_of_the_image(kind: str) -> None:
    difference = pixels(encoded(Image.fromarray(CORNERS), kind)) - CORNERS
    assert np.abs(difference[4:-4:8, 4:-4:8]).max() <= (0 if kind in {"PNG", "BMP", "TIFF"} else 12)


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "PNG", "MPO"])
def test_of_several_frames_the_first_is_taken(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    content = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    assert np.abs(pixels(content) - (255, 0, 0)).max() <= 10


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    image = Image.new("RGB", (8, 8), "white").convert(mode)
    assert (pixels(encoded(image, "TIFF" if mode in {"CMYK", "YCbCr"} else "PNG")) >= 254).all()


def test_cmyk_in_a_jpeg() -> None:
    assert np.abs(pixels(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG")) - (255, 0, 0)).max() <= 12


def test_transparency_is_drawn_on_white() -> None:
    half = np.zeros((2, 2, 4), np.uint8)
    half[..., 0], half[..., 3] = 200, [[0, 255], [128, 64]]
    image = Image.fromarray(half)
    red = [[255, 200], [227, 241]]
    for source in (encoded(image, "PNG"), encoded(image, "TIFF"), encoded(image, "WEBP", lossless=True)):
        assert np.abs(pixels(source)[..., 0] - red).max() <= 1
    grey = np.array([[[10, 0], [10, 255]]], np.uint8)
    assert pixels(encoded(Image.fromarray(grey, "LA"), "PNG")).tolist() == [[[255] * 3, [10] * 3]]


def test_a_transparent_palette_entry_is_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    for kind in ("PNG", "GIF"):
        assert pixels(encoded(image, kind, transparency=0)).tolist() == [[[255, 255, 255], [0, 0, 255]]]


def test_a_palette_with_partly_transparent_entries() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 0, 0, 0, 255])
    assert pixels(encoded(image, "PNG", transparency=bytes([128, 255])))[0, 0].tolist() == [127] * 3


@pytest.mark.parametrize(
    ("depth", "rows", "expected"),
    [
        (1, b"\x40", [0, 255]),  # 0, 1; 0 is transparent below
        (2, b"\x60", [85, 170]),  # 1, 2
        (4, b"\x12", [17, 34]),
        (8, b"\x01\x02", [1, 2]),
        (16, b"\x01\x01\x80\x80", [1, 128]),
    ],
)
def test_a_transparent_grey_value_is_white_at_every_depth(depth: int, rows: bytes, expected: list[int]) -> None:
    plain = png(2, 1, depth, 0, rows)
    assert pixels(plain)[0, :, 0].tolist() == expected
    first = {1: 0, 2: 1, 4: 1, 8: 1, 16: 0x0101}[depth]
    assert pixels(png(2, 1, depth, 0, rows, (b"tRNS", struct.pack(">H", first))))[0, :, 0].tolist() == [255, expected[1]]


@pytest.mark.parametrize("depth", [8, 16])
def test_a_transparent_colour_is_white(depth: int) -> None:
    repeat = depth // 8
    rows = bytes(value for value in (10, 20, 30, 40, 50, 60) for _ in range(repeat))
    colour = struct.pack(">HHH", *((value * 257 if depth == 16 else value) for value in (10, 20, 30)))
    assert pixels(png(2, 1, depth, 2, rows, (b"tRNS", colour))).tolist() == [[[255] * 3, [40, 50, 60]]]


def test_16_bits_are_scaled_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    for kind in ("PNG", "TIFF"):
        assert np.abs(pixels(encoded(Image.fromarray(ramp), kind))[..., 0].ravel() - np.arange(256)).max() <= 1
    big = Image.frombytes("I;16B", (16, 16), ramp.astype(">u2").tobytes())
    assert np.abs(pixels(encoded(big, "TIFF"))[..., 0].ravel() - np.arange(256)).max() <= 1


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 0.5, 1]], np.float32), [0, 128, 255]),
        (np.array([[0, 128, 255]], np.float32), [0, 128, 255]),
        (np.array([[np.nan, -1, 65535]], np.float32), [0, 0, 255]),
        (np.array([[0, 32768, 65535]], np.int32), [0, 128, 255]),
        (np.array([[-5, 0, 2**31 - 1]], np.int32), [0, 0, 255]),
    ],
)
def test_numbers_of_32_bits_are_scaled(values: Any, expected: list[int]) -> None:
    assert pixels(encoded(Image.fromarray(values), "TIFF"))[0, :, 0].tolist() == expected


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_the_orientation_of_exif_is_applied(orientation: int, kind: str) -> None:
    turns = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM}
    turns |= {5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE}
    turns |= {8: Image.Transpose.ROTATE_90}
    stored = Image.fromarray(CORNERS)
    seen = stored.transpose(turns[orientation]) if orientation in turns else stored
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    assert (pixels(encoded(stored, kind, exif=exif, **options)) == np.asarray(seen)).all()


def test_damaged_exif_leaves_the_image_as_it_is() -> None:
    content = encoded(Image.fromarray(CORNERS), "JPEG", exif=b"Exif\0\0" + b"MM\0*\xff\xff\xff\xff")
    assert pixels(content).shape == CORNERS.shape


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no format that Pillow can open"),
        (b"hello", "no format that Pillow can open"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "no format that Pillow can open"),
        (encoded(Image.fromarray(CORNERS), "PNG").getvalue()[:100], "truncated"),
        (encoded(Image.fromarray(CORNERS), "JPEG").getvalue()[:-50], "truncated"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "no format"),
    ],
)
def test_what_is_no_image_says_why(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    for source in (path, io.BytesIO(content)):
        with pytest.raises(UnreadableImage, match=reason):
            read_image(source)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP"])
def test_damaged_bytes_are_an_image_or_unreadable(kind: str) -> None:
    whole = encoded(Image.fromarray(CORNERS), kind).getvalue()
    random = np.random.default_rng(0)
    for _ in range(40):
        content = bytearray(whole[: random.integers(1, len(whole) + 1)])
        for place in random.integers(0, len(content), 8):
            content[place] = random.integers(256)
        with suppress(UnreadableImage):
            assert read_image(io.BytesIO(bytes(content))).mode == "RGB"


def test_a_decompression_bomb_is_one_line(monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert pixels(encoded(Image.new("RGB", (40, 40)), "PNG")).shape == (40, 40, 3), "a large photo, below the limit"
    with pytest.raises(UnreadableImage, match="more than 2,000 pixels, Pillow's limit"):
        read_image(encoded(Image.new("RGB", (50, 50)), "PNG"))
    assert not recwarn.list


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_an_image_of_the_right_size_is_unchanged(fit: Fit) -> None:
    square = CORNERS[:, :32]
    fitted = fit_image(Image.fromarray(square), 32, fit)
    assert fitted.dtype == np.uint8
    assert (fitted == square).all()
    assert (fit_image(Image.fromarray(square[..., 0]), 32, fit) == square[..., :1]).all()


def test_crop_takes_the_middle_pad_adds_black_and_stretch_takes_all() -> None:
    image = Image.fromarray(np.repeat(np.array([[50] * 10 + [150] * 20 + [250] * 10], np.uint8), 20, axis=0)).convert("RGB")
    crop, pad, stretch = (fit_image(image, 20, fit)[..., 0].astype(int) for fit in ("crop", "pad", "stretch"))
    assert (crop == 150).all()
    assert (pad[:5] == 0).all()
    assert (pad[-5:] == 0).all()
    assert pad[10, [0, 10, 19]].tolist() == [50, 150, 250]
    assert stretch[10, [0, 10, 19]].tolist() == [50, 150, 250]


def test_reducing_is_antialiased() -> None:
    board = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    for fit in ("crop", "pad", "stretch"):
        assert np.abs(fit_image(Image.fromarray(board), 8, fit).astype(int) - 127).max() < 20


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1)])
def test_any_size_fits(fit: Fit, size: tuple[int, int]) -> None:
    assert fit_image(Image.new("RGB", size, "white"), 16, fit).shape == (16, 16, 3)


@pytest.fixture
def data(params: Params) -> DataParams:
    return dataclasses.replace(params.data, name="folder", image_size=8)


def photos(folder: Path, count: int, *classes: str) -> None:
    """Images with different pixels, in class folders."""
    random = np.random.default_rng(zlib.crc32(folder.name.encode()))
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            Image.fromarray(random.integers(256, size=(9, 12, 3), dtype=np.uint8)).save(folder / name / f"{number}.png")


SPLITS = ("train", "validation", "test")


def split_folder(folder: Path, data: DataParams, processes: int = 1) -> tuple[DatasetInfo, list[int], list[str]]:
    """Pack a folder and write its splits beside it."""
    pack(folder, scan(folder).names, folder.parent / "raw", int)
    paths = {name: folder.parent / name for name in SPLITS}
    return write_splits(folder.parent / "raw", data, paths, int, processes)


def test_every_image_is_in_one_split_with_its_label_its_pixels_and_its_file_name(tmp_path: Path, data: DataParams) -> None:
    folder = tmp_path / "images"
    photos(folder, 40, "cat", "dog")
    info, counts, lines = split_folder(folder, data)
    splits = [load_split(tmp_path / name) for name in SPLITS]
    assert [len(split) for split in splits] == counts
    assert sum(counts) == 80
    assert sorted(file for split in splits for file in split.files) == sorted(scan(folder).names)
    for split in splits:
        for image, label, file in zip(split.images, split.labels, split.files, strict=True):
            assert info.class_names[label] == file.partition("/")[0]
            assert (image == fit_image(read_image(folder / file), 8, "crop")).all()
    assert (info.mean, info.std) == channel_statistics(splits[0].images)
    assert (info.fit, lines) == ("crop", [])


def test_any_number_of_processes_gives_the_same_bytes(
    tmp_path: Path, data: DataParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("classifier.data.image_folder.POOLED", 0)
    monkeypatch.setattr("classifier.data.image_folder.TASK_SIZE", 3)
    photos(tmp_path / "images", 30, "cat", "dog")
    (tmp_path / "images/cat/broken.jpg").write_text("no image")
    skipping = dataclasses.replace(data, unreadable="skip")
    written = []
    for processes in (1, 3):
        told = split_folder(tmp_path / "images", skipping, processes)
        written.append((told, [(tmp_path / name).read_bytes() for name in SPLITS]))
    assert written[0] == written[1]


def test_unreadable_images_are_named_and_stop_or_are_left_out(tmp_path: Path, data: DataParams) -> None:
    folder = tmp_path / "images"
    photos(folder, 30, "cat", "dog")
    for number in range(7):
        (folder / f"cat/broken {number}.heic").write_text("no image")
    (folder / "cat/a.jpg").touch()
    with pytest.raises(InputError) as caught:
        split_folder(folder, data)
    line = str(caught.value)
    assert "8 of 68 images cannot be decoded: " in line
    assert " and 3 more; convert them to JPEG or PNG" in line
    assert "(no format that Pillow can open)" in line
    info, counts, lines = split_folder(folder, dataclasses.replace(data, unreadable="skip"))
    assert sum(counts) == 60
    assert lines[0].endswith("left out")
    assert "a.jpg (empty file)" in line + lines[0]
    assert load_split(tmp_path / "train").images.shape == (counts[0], 8, 8, 3)
    assert info.class_names == ("cat", "dog")


def test_images_that_can_be_decoded_fill_the_splits_of_a_small_class(tmp_path: Path, data: DataParams) -> None:
    photos(tmp_path / "images", 4, "cat", "dog")
    for number in range(60):
        (tmp_path / f"images/cat/broken {number}.jpg").write_text(f"no image {number}")
    info, counts, lines = split_folder(tmp_path / "images", dataclasses.replace(data, unreadable="skip"))
    assert sum(counts) == 8
    assert "the class cat is so small" in lines[1]
    for name in SPLITS:
        split = load_split(tmp_path / name)
        assert {info.class_names[label] for label in split.labels} == {"cat", "dog"}
        assert all(file.startswith(info.class_names[label]) for file, label in zip(split.files, split.labels, strict=True))


def test_a_class_of_unreadable_images_is_one_line(tmp_path: Path, data: DataParams) -> None:
    photos(tmp_path / "images", 30, "cat", "dog")
    (tmp_path / "images/bird").mkdir()
    for number in range(5):
        (tmp_path / f"images/bird/{number}.jpg").write_text(f"no image {number}")
    with pytest.raises(InputError, match="the class bird has no image that can be decoded"):
        split_folder(tmp_path / "images", dataclasses.replace(data, unreadable="skip"))


def test_equal_pixels_in_different_splits_warn_or_stop(tmp_path: Path, data: DataParams) -> None:
    folder = tmp_path / "images"
    photos(folder / "train", 10, "cat", "dog")
    photos(folder / "test", 3, "cat", "dog")
    Image.open(folder / "train/cat/0.png").save(folder / "test/cat/again.bmp")
    (folder / "test/cat/once more.png").write_bytes((folder / "train/cat/0.png").read_bytes())
    photos(folder / "val", 3, "cat", "dog")
    _, _, lines = split_folder(folder, data)
    names = "test/cat/again.bmp (test), test/cat/once more.png (test), train/cat/0.png (train)"
    assert lines == [f"warning: 1 image with equal pixels in several splits, as {names}"]
    with pytest.raises(InputError, match=r"keep one of them, or let it be a warning: data\.duplicates: warn"):
        split_folder(folder, dataclasses.replace(data, duplicates="error"))


def test_a_damaged_pack_is_one_line(tmp_path: Path, data: DataParams) -> None:
    photos(tmp_path / "images", 10, "cat", "dog")
    split_folder(tmp_path / "images", data)
    path = tmp_path / "raw" / PACK
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"images\.bin: damaged; run the download stage again: dvc repro --force download"):
        write_splits(tmp_path / "raw", data, {name: tmp_path / name for name in SPLITS}, int, 1)
