import gzip
import io
import math
import os
import pickle
import tarfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classifier.data.partition import channel_statistics, stratify
from classifier.data.readers import read_cifar10, read_digits
from classifier.data.split import Split, load_split, save_split
from classifier.runtime.errors import InputError
from tests.archives import CLASS_NAMES, cifar10_batches, write_cifar10


def labelled(labels: list[int]) -> Split:
    """Images whose pixels tell their place."""
    images = np.arange(len(labels), dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), dtype=np.uint8)
    return Split(images, np.array(labels, dtype=np.int64))


def test_cifar10_is_read_in_the_order_of_its_batches_with_channels_last(tmp_path: Path) -> None:
    batches = cifar10_batches()
    write_cifar10(tmp_path / "a.tar.gz", batches)
    archive = read_cifar10(tmp_path / "a.tar.gz")
    assert archive.class_names == tuple(CLASS_NAMES)
    assert archive.train.images.shape == (100, 32, 32, 3)
    assert archive.train.images.dtype == np.uint8
    assert archive.test.images.shape == (20, 32, 32, 3)
    second = batches["data_batch_2"]
    assert archive.train.labels[20:40].tolist() == second["labels"]
    # The 5th image of batch 2, row 3, column 7: red, green and blue lie 1,024 bytes apart.
    assert (
        archive.train.images[24, 3, 7].tolist()
        == second["data"][4, [3 * 32 + 7, 1024 + 3 * 32 + 7, 2048 + 3 * 32 + 7]].tolist()
    )


def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(tmp_path: Path) -> None:
    class Malicious:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "was run"),)

    write_cifar10(tmp_path / "a.tar.gz", cifar10_batches() | {"test_batch": Malicious()})
    with pytest.raises(InputError, match=r"mkdir, which is not plain data"):
        read_cifar10(tmp_path / "a.tar.gz")
    assert not (tmp_path / "was run").exists()


def changed(name: str, **values: Any) -> dict[str, Any]:
    batches = cifar10_batches()
    batches[name] |= values
    return batches


def removed(name: str) -> dict[str, Any]:
    batches = cifar10_batches()
    del batches[name]
    return batches


LABELS = cifar10_batches()["test_batch"]["labels"]
BROKEN = {
    "a batch is missing": removed("data_batch_3"),
    "the names are missing": removed("batches.meta"),
    "a batch is no pickle": cifar10_batches() | {"data_batch_1": b"<html>"},
    "a batch is half a pickle": cifar10_batches() | {"data_batch_1": pickle.dumps(cifar10_batches()["data_batch_1"])[:1000]},
    "a batch is empty": cifar10_batches() | {"data_batch_1": b""},
    "a batch is a list": cifar10_batches() | {"data_batch_1": [1, 2]},
    "a batch is nothing": cifar10_batches() | {"test_batch": None},
    "images of another size": changed("data_batch_3", data=np.zeros((3, 5), dtype=np.uint8)),
    "pixels that are no bytes": changed("data_batch_3", data=np.zeros((20, 3072))),
    "pixels that are objects": changed("data_batch_3", data=np.full((20, 3072), None)),
    "pixels that are text": changed("test_batch", data="pixels"),
    "fewer labels than images": changed("test_batch", labels=LABELS[1:]),
    "a label too large": changed("test_batch", labels=[10, *LABELS[1:]]),
    "a label below zero": changed("data_batch_1", labels=[-1, *LABELS[1:]]),
    "a label between two": changed("data_batch_1", labels=[0.5, *LABELS[1:]]),
    "a label that is text": changed("data_batch_1", labels=["cat", *LABELS[1:]]),
    "a label too large for any number": changed("data_batch_1", labels=[10**30, *LABELS[1:]]),
    "no labels": changed("test_batch", labels=None),
    "the same name twice": changed("batches.meta", label_names=["cat"] * 10),
    "no names": changed("batches.meta", label_names=[]),
    "no test images": changed("test_batch", data=np.zeros((0, 3072), dtype=np.uint8), labels=[]),
    "a number for names": changed("batches.meta", label_names=3),
}


@pytest.mark.parametrize("batches", BROKEN.values(), ids=BROKEN)
def test_a_broken_archive_is_refused_in_one_line(tmp_path: Path, batches: dict[str, Any]) -> None:
    write_cifar10(tmp_path / "a.tar.gz", batches)
    refused(tmp_path / "a.tar.gz")


@pytest.mark.parametrize("keep", [0, 1, 10, 100, 5000, 50_000, -1000])
def test_an_archive_cut_short_is_refused_in_one_line(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "a.tar.gz"
    write_cifar10(path, cifar10_batches())
    path.write_bytes(path.read_bytes()[:keep])
    refused(path)


def test_an_archive_with_a_wrong_bit_that_cannot_be_read_is_refused_in_one_line(tmp_path: Path) -> None:
    """A wrong bit in a pixel is what its checksum, verified before it is read, is for."""
    path = tmp_path / "a.tar.gz"
    write_cifar10(path, cifar10_batches())
    whole = path.read_bytes()
    lines = []
    for place in np.random.default_rng(0).integers(len(whole), size=30).tolist():
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
        try:
            read_cifar10(path)
        except InputError as error:
            lines.append(str(error))
    assert len(lines) > 5
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize("content", [b"", b"<html>", b"PK\x03\x04", bytes(10_000), gzip.compress(b"<html>", mtime=0)])
def test_a_file_that_is_no_archive_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tar.gz").write_bytes(content)
    refused(tmp_path / "a.tar.gz")


def refused(path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_cifar10(path)
    line = str(caught.value)
    assert line.isprintable(), line
    assert line.startswith(f"{path}: not an archive of CIFAR-10's python version: "), line


def test_an_archive_writes_nothing_wherever_its_members_point(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    path = tmp_path / "inside" / "a.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name in ("../outside", "/outside", "cifar-10-batches-py/../../outside"):
            member = tarfile.TarInfo(name)
            member.size = 5
            archive.addfile(member, io.BytesIO(b"bytes"))
        for kind, target in ((tarfile.SYMTYPE, "/etc/passwd"), (tarfile.LNKTYPE, "../secret"), (tarfile.CHRTYPE, "")):
            member = tarfile.TarInfo("cifar-10-batches-py/data_batch_1")
            member.type, member.linkname = kind, target
            archive.addfile(member)
    refused(path)
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["a.tar.gz", "inside"]


def test_a_batch_far_larger_than_a_real_one_is_not_even_read(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("cifar-10-batches-py/data_batch_1")
        member.size = 2**26 + 1
        archive.addfile(member, io.BytesIO(bytes(member.size)))
    with pytest.raises(InputError, match=r"data_batch_1 in it has 67,108,865 bytes, more than"):
        read_cifar10(tmp_path / "a.tar.gz")


@pytest.mark.parametrize(
    "code",
    [
        b"cos\nsystem\n(S'false'\ntR.",
        b"c__builtin__\neval\n(S'1'\ntR.",
        b"cnumpy\nload\n(S'x'\ntR.",
        b"cnumpy.core.multiarray\nfromfile\n(S'x'\ntR.",
        b"c_codecs\ndecode\n(S'x'\ntR.",
        b"cnumpy\nndarray.__reduce__\n.",
    ],
)
def test_of_a_pickle_nothing_but_arrays_and_plain_values_is_admitted(tmp_path: Path, code: bytes) -> None:
    write_cifar10(tmp_path / "a.tar.gz", cifar10_batches() | {"batches.meta": code})
    with pytest.raises(InputError, match="which is not plain data"):
        read_cifar10(tmp_path / "a.tar.gz")


def test_digits_come_as_grey_images_of_the_full_range_with_a_stratified_test_split() -> None:
    from importlib.metadata import distribution

    archive = read_digits(Path(str(distribution("scikit-learn").locate_file("sklearn/datasets/data/digits.csv.gz"))))
    assert archive.train.images.shape == (1437, 8, 8, 1)
    assert archive.test.images.shape == (360, 8, 8, 1)
    assert (archive.train.images.min(), archive.train.images.max()) == (0, 255)
    assert np.bincount(archive.test.labels).min() >= 34


ROW = "1," * 64


@pytest.mark.parametrize(
    "table",
    ["", "1,2,3\n", "<html>\n", f"{ROW}10\n" * 50, f"{ROW}0.5\n" * 50, f"17,{ROW[2:]}1\n" * 50, f"nan,{ROW[2:]}1\n" * 50],
)
def test_a_table_that_is_not_the_digits_is_refused(tmp_path: Path, table: str) -> None:
    (tmp_path / "digits.csv").write_text(table)
    with pytest.raises(InputError, match="not an archive of scikit-learn's digits"):
        read_digits(tmp_path / "digits.csv")


def test_a_stratified_split_takes_the_same_share_of_every_class_and_every_image_once() -> None:
    split = labelled([0] * 100 + [1] * 50 + [2] * 10)
    first, second = stratify(split, 0.1, seed=3)
    assert np.bincount(second.labels).tolist() == [10, 5, 1]
    places = [part.images[:, 0, 0, 0].tolist() for part in (first, second)]
    assert sorted(places[0] + places[1]) == list(range(160))
    assert places[0] == sorted(places[0])
    assert places[1] == sorted(places[1])


def test_the_seed_decides_the_split() -> None:
    split = labelled([0, 1] * 50)
    one, same, other = (stratify(split, 0.2, seed)[1].images for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_a_class_of_one_image_cannot_be_split() -> None:
    with pytest.raises(InputError, match=r"cannot hold out 0\.5 of 5 images"):
        stratify(labelled([0, 0, 1, 1, 2]), 0.5, seed=0)


def test_statistics_of_the_channels_are_those_of_the_pixels() -> None:
    images = np.random.default_rng(0).integers(256, size=(20, 5, 7, 3), dtype=np.uint8)
    mean, std = channel_statistics(images)
    np.testing.assert_allclose(mean, (images / 255).mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(std, (images / 255).std(axis=(0, 1, 2)))


def test_statistics_are_rounded_once_so_that_every_processor_gives_the_same() -> None:
    images = np.random.default_rng(1).integers(256, size=(50, 8, 8, 1), dtype=np.uint8)
    mean, std = channel_statistics(images)
    pixels = [Fraction(int(value), 255) for value in images.ravel()]
    exact = sum(pixels) / len(pixels)
    assert mean == (float(exact),)
    assert std == (math.sqrt(sum((pixel - exact) ** 2 for pixel in pixels) / len(pixels)),)


def test_a_channel_that_does_not_vary_can_be_divided_by_its_deviation() -> None:
    mean, std = channel_statistics(np.full((2, 3, 3, 1), 51, dtype=np.uint8))
    assert mean == pytest.approx((0.2,))
    assert std == (1.0,)


def test_a_split_comes_back_from_its_file_and_gives_the_same_bytes(tmp_path: Path) -> None:
    split = labelled([0, 1, 2])
    save_split(split, tmp_path / "a.npz")
    save_split(split, tmp_path / "b.npz")
    loaded = load_split(tmp_path / "a.npz")
    assert np.array_equal(loaded.images, split.images)
    assert np.array_equal(loaded.labels, split.labels)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize("keep", [0, 10, 200, -20])
def test_a_damaged_split_says_which_stage_to_run(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "train.npz"
    save_split(labelled([0, 1, 2]), path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"train\.npz: damaged .*dvc repro --force preprocess"):
        load_split(path)
