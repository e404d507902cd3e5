import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from classifier.data import split as module
from classifier.data.split import (
    DatasetInfo,
    Split,
    SplitWriter,
    load_dataset_info,
    load_split,
    save_dataset_info,
    save_split,
)
from classifier.runtime.errors import InputError

INFO = DatasetInfo(("cat", "dög"), (0.25,), (0.5,))


@pytest.fixture
def split() -> Split:
    generator = np.random.default_rng(0)
    return Split(generator.integers(256, size=(50, 5, 7, 3), dtype=np.uint8), generator.integers(10, size=50))


def damages(whole: bytes) -> Iterator[bytes]:
    """The bytes of a file cut short, emptied, zeroed in part, lengthened, and with one bit changed at many places."""
    yield b""
    yield b"<html>Please log in</html>"
    for length in (1, 7, 8, 9, 100, len(whole) // 2, len(whole) - 1):
        yield whole[:length]
    for start, end in ((0, 8), (0, 100), (len(whole) // 2, len(whole)), (0, len(whole))):
        yield whole[:start] + bytes(end - start) + whole[end:]
    yield whole + b"\0"
    yield whole + whole
    for place in [*range(min(400, len(whole))), *np.random.default_rng(0).integers(len(whole), size=100).tolist()]:
        yield whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :]


def test_a_split_comes_back_from_its_file_and_gives_the_same_bytes_every_time(split: Split, tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_split(split, tmp_path / name)
    loaded = load_split(tmp_path / "a")
    assert loaded.images.dtype == np.uint8
    assert loaded.labels.dtype == np.int64
    assert np.array_equal(loaded.images, split.images)
    assert np.array_equal(loaded.labels, split.labels)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_images_that_are_not_contiguous_are_saved_as_they_are_seen(split: Split, tmp_path: Path) -> None:
    reversed_split = Split(split.images[::-1, :, ::2], split.labels[::-1].copy())
    save_split(reversed_split, tmp_path / "a")
    assert np.array_equal(load_split(tmp_path / "a").images, reversed_split.images)


@pytest.mark.parametrize("mapped_from", [2**30, 1], ids=["read", "mapped"])
def test_damage_anywhere_in_a_split_is_one_line_or_changes_nothing(
    split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mapped_from: int
) -> None:
    monkeypatch.setattr(module, "MAPPED_FROM", mapped_from)
    path = tmp_path / "train.safetensors"
    save_split(split, path)
    accepted, lines = [], []
    for damaged in damages(path.read_bytes()):
        path.write_bytes(damaged)
        try:
            accepted.append(load_split(path))
        except InputError as error:
            lines.append(str(error))
    for line in lines:
        assert re.fullmatch(r"[^\n]*train\.safetensors: damaged [^\n]*dvc repro --force preprocess", line)
    assert all(np.array_equal(loaded.images, split.images) for loaded in accepted)
    assert all(np.array_equal(loaded.labels, split.labels) for loaded in accepted)
    assert len(accepted) < 0.02 * len(lines), "only in the padding of the header"


def test_large_images_are_memory_mapped_and_equal(split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_split(split, tmp_path / "a")
    assert not isinstance(load_split(tmp_path / "a").images, np.memmap)
    monkeypatch.setattr(module, "MAPPED_FROM", split.images.nbytes)
    loaded = load_split(tmp_path / "a")
    assert isinstance(loaded.images, np.memmap)
    assert np.array_equal(loaded.images, split.images)
    assert not loaded.images.flags.writeable, "the file is never changed"


@pytest.mark.parametrize("left_out", [0, 1, 7, 50])
@pytest.mark.parametrize("mapped_from", [2**30, 1], ids=["read", "mapped"])
def test_a_split_that_is_written_image_by_image_has_the_same_bytes(
    split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left_out: int, mapped_from: int
) -> None:
    files = tuple(f"é {number}.jpg" for number in range(50))
    kept = np.arange(50 - left_out)
    whole = Split(split.images, split.labels, files).take(kept)
    with SplitWriter(tmp_path / "written", (5, 7, 3), split.labels, files) as writer:
        for index in kept:
            writer.append(split.images[index], int(split.labels[index]), files[index])
    if left_out < 50:
        save_split(whole, tmp_path / "saved")
        assert (tmp_path / "written").read_bytes() == (tmp_path / "saved").read_bytes()
        monkeypatch.setattr(module, "MAPPED_FROM", mapped_from)
    loaded = load_split(tmp_path / "written")
    assert np.array_equal(loaded.images, whole.images)
    assert np.array_equal(loaded.labels, whole.labels)
    assert loaded.files == whole.files
    assert len(list(tmp_path.iterdir())) == 1 + (left_out < 50)


def test_a_missing_split_says_which_stage_to_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"train\.safetensors: no such file; run the preprocess stage first"):
        load_split(tmp_path / "train.safetensors")


def test_the_dataset_info_comes_back_from_its_file(tmp_path: Path) -> None:
    save_dataset_info(INFO, tmp_path / "dataset.json")
    assert load_dataset_info(tmp_path / "dataset.json") == INFO
    assert json.loads((tmp_path / "dataset.json").read_text())["class_names"] == ["cat", "dög"]


def test_damage_anywhere_in_the_dataset_info_is_one_line_or_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "dataset.json"
    save_dataset_info(INFO, path)
    accepted, lines = [], []
    for damaged in damages(path.read_bytes()):
        path.write_bytes(damaged)
        try:
            accepted.append(load_dataset_info(path))
        except InputError as error:
            lines.append(str(error))
    for line in lines:
        assert re.fullmatch(r"[^\n]*dataset\.json: damaged [^\n]*dvc repro --force preprocess", line)
    assert all(info == INFO for info in accepted)
    assert len(accepted) < 0.1 * len(lines), "only in the spaces between the values"
