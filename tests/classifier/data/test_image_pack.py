import dataclasses
import hashlib
import json
import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

from classifier.data.image_pack import (
    SPLITS,
    Division,
    ImageFile,
    Times,
    changes,
    check_listing,
    describe,
    divide,
    image_folder,
    pack,
    parse_manifest,
    read_manifest,
    scan,
    stamp_of,
)
from classifier.data.registry import MANIFEST, PACK
from classifier.params import DataParams, Params
from classifier.runtime.errors import InputError


@pytest.fixture
def data(params: Params) -> DataParams:
    return dataclasses.replace(params.data, name="folder")


def listed(*names: str) -> list[ImageFile]:
    """A manifest in which every file has other bytes."""
    return [ImageFile(name, 1, hashlib.sha256(name.encode()).hexdigest()) for name in sorted(names)]


def many(count: int, *folders: str) -> list[str]:
    return [f"{folder}/{number}.jpg" for folder in folders for number in range(count)]


def split_of(division: Division, manifest: list[ImageFile]) -> dict[str, str]:
    return {file.name: SPLITS[split] for file, split in zip(manifest, division.splits, strict=True)}


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name, encoding="utf-8", errors="surrogateescape")


def test_images_are_listed_at_any_depth_whatever_their_names(tmp_path: Path) -> None:
    names = ["a/one two.JPG", "a/deeper/x.Png", "b/été 猫.webp", "b/IMG.HEIC", "b/e\u0301.gif", "b/\u00e9.gif", "Z/z.tiff"]
    write(tmp_path, *names, "a/notes.txt", "a/README", "a/raw.NEF")
    write(tmp_path, "a/.hidden.jpg", ".git/x.jpg", "a/Thumbs.db", "__MACOSX/a/x.jpg", "a/.ipynb_checkpoints/x.jpg")
    listing = scan(tmp_path)
    assert listing.names == tuple(sorted(names))
    assert listing.others == {"": 1, ".nef": 1, ".txt": 1}
    assert listing.empty == listing.broken == ()


def test_two_names_that_differ_in_case_are_two_images(tmp_path: Path) -> None:
    write(tmp_path, "a/x.jpg", "a/X.jpg")
    if len(list((tmp_path / "a").iterdir())) == 2:
        assert scan(tmp_path).names == ("a/X.jpg", "a/x.jpg")


def test_links_are_followed_and_circles_left_out(tmp_path: Path) -> None:
    write(tmp_path, "elsewhere/x.jpg", "images/a/y.jpg")
    images = tmp_path / "images"
    (images / "b").symlink_to(tmp_path / "elsewhere")
    (images / "a/z.png").symlink_to(tmp_path / "elsewhere/x.jpg")
    (images / "a/circle").symlink_to(images)
    (images / "a/nowhere.jpg").symlink_to(tmp_path / "nothing.jpg")
    listing = scan(images)
    assert listing.names == ("a/y.jpg", "a/z.png", "b/x.jpg")
    assert listing.broken == ("a/nowhere.jpg",)


def test_a_file_name_that_is_not_text_is_kept(tmp_path: Path) -> None:
    name = os.fsdecode(b"a/\xff.jpg")
    (tmp_path / "a").mkdir()
    try:
        (tmp_path / name).write_bytes(b"x")
    except OSError:
        pytest.skip("the file system takes names in UTF-8 only")
    manifest = pack(tmp_path, scan(tmp_path).names, tmp_path / "raw", int)
    assert read_manifest(tmp_path / "raw") == manifest
    assert manifest[0].name == name


@pytest.mark.parametrize(
    ("names", "line"),
    [
        (["readme.txt"], "no image in it (1 other file)"),
        (["a/x.jpg", "b/notes.txt"], "no image in b, though each folder should be a class or a split; remove it"),
    ],
)
def test_a_folder_without_images_is_one_line(tmp_path: Path, data: DataParams, names: list[str], line: str) -> None:
    write(tmp_path, *names)
    with pytest.raises(InputError) as caught:
        check_listing(scan(tmp_path), tmp_path, data)
    assert line in str(caught.value)


def test_a_link_that_leads_nowhere_stops_or_is_left_out(tmp_path: Path, data: DataParams) -> None:
    write(tmp_path, "a/x.jpg")
    (tmp_path / "a/y.jpg").symlink_to(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"a/y\.jpg: no file, or a link that leads nowhere"):
        check_listing(scan(tmp_path), tmp_path, data)
    check_listing(scan(tmp_path), tmp_path, dataclasses.replace(data, unreadable="skip"))


def test_a_relative_folder_counts_from_the_root_and_names_are_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my images").mkdir()
    monkeypatch.setenv("PHOTOS", str(tmp_path / "my images"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for location in ("my images", "$PHOTOS", "~/my images", str(tmp_path / "my images")):
        assert image_folder(location, tmp_path) == tmp_path / "my images"
    (tmp_path / "file").touch()
    for location, problem in (("nothing", "no such folder"), ("file", "not a folder")):
        with pytest.raises(InputError, match=rf"data\.folder: .*{location}: {problem}"):
            image_folder(location, tmp_path)


def test_the_same_files_give_the_same_pack_whatever_their_times_and_their_order(tmp_path: Path) -> None:
    names = many(3, "a", "b")
    for folder, order in (("one", names), ("two", names[::-1])):
        write(tmp_path / folder, *order)
    os.utime(tmp_path / "two/a/0.jpg", (1, 1))
    packs = []
    for folder in ("one", "two"):
        manifest = pack(tmp_path / folder, scan(tmp_path / folder).names, tmp_path / f"{folder} packed", int)
        packs.append({path.name: path.read_bytes() for path in (tmp_path / f"{folder} packed").iterdir()})
        assert read_manifest(tmp_path / f"{folder} packed") == manifest
    assert packs[0] == packs[1]
    assert packs[0][PACK] == "".join(names).encode()
    assert [file.size for file in parse_manifest(packs[0][MANIFEST].decode())] == [7] * 6


def test_a_damaged_manifest_is_one_line(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text("[[1,")
    with pytest.raises(InputError, match=r"manifest\.json: damaged .* dvc repro --force download"):
        read_manifest(tmp_path)


def test_the_fractions_hold_on_average_in_every_class(data: DataParams) -> None:
    manifest = listed(*many(2000, "a", "b"))
    division = divide(manifest, data)
    assert division.class_names == ("a", "b")
    for label in (0, 1):
        counts = Counter(SPLITS[split] for split in division.splits[division.labels == label])
        assert counts["test"] == pytest.approx(400, abs=60)
        assert counts["validation"] == pytest.approx(160, abs=40)
    assert not division.moved
    assert sorted(division.order) == list(range(4000))
    assert Counter(division.labels[division.order[:1000]])[0] == pytest.approx(500, abs=60), "not class after class"


def test_adding_images_moves_no_other_and_the_seed_decides(data: DataParams) -> None:
    before = listed(*many(300, "a", "b"))
    after = listed(*many(400, "a", "b", "c"))
    then, now = split_of(divide(before, data), before), split_of(divide(after, data), after)
    assert then.items() <= now.items()
    other = split_of(divide(before, dataclasses.replace(data, seed=1)), before)
    assert other != then


def test_renaming_an_image_does_not_move_it_and_equal_files_stay_together(data: DataParams) -> None:
    manifest = listed(*many(100, "a", "b"))
    copies = [ImageFile(file.name.replace("/", "/copy of "), 1, file.sha256) for file in manifest]
    both = split_of(divide([*manifest, *copies], data), [*manifest, *copies])
    for file, copy in zip(manifest, copies, strict=True):
        assert both[file.name] == both[copy.name]


@pytest.mark.parametrize("count", range(3, 12))
def test_a_small_class_has_an_image_in_every_split(data: DataParams, count: int) -> None:
    for seed in range(20):
        manifest = listed(*many(count, "a"), *many(500, "b"))
        division = divide(manifest, dataclasses.replace(data, seed=seed))
        found = Counter(SPLITS[split] for split in division.splits[division.labels == 0])
        assert set(found) == set(SPLITS)
        assert {name for name, _, _ in division.moved} <= {"a"}
        lines = describe(division, None, manifest, [])
        assert len(lines) == 1 + len(division.moved)


def test_an_image_that_changes_its_split_is_named(data: DataParams) -> None:
    before = listed(*many(3, "a"), *many(100, "b"))
    then = divide(before, data)
    assert then.moved, "or the test shows nothing"
    after = listed(*many(60, "a"), *many(100, "b"))
    lines = describe(divide(after, data), then, after, before)
    named = [line.partition(" was in the ")[0] for line in lines if " was in the " in line]
    places, now = split_of(then, before), split_of(divide(after, data), after)
    assert named
    assert named == [file.name for file in after if places.get(file.name, now[file.name]) != now[file.name]]


@pytest.mark.parametrize("validation", ["val", "valid", "validation", "Val"])
def test_a_folder_with_splits(data: DataParams, validation: str) -> None:
    manifest = listed(*many(4, "train/a", "train/b", f"{validation}/a", f"{validation}/b", "test/a", "test/b"))
    division = divide(manifest, data)
    assert division.layout == "splits"
    assert division.class_names == ("a", "b")
    expected = {"train": "train", "test": "test", validation: "validation"}
    assert all(split == expected[name.partition("/")[0]] for name, split in split_of(division, manifest).items())


@pytest.mark.parametrize(
    ("given", "carved"), [(["train", "test"], "validation"), (["train", "val"], "test"), (["train"], "both")]
)
def test_a_split_that_is_missing_is_taken_from_the_training_images(data: DataParams, given: list[str], carved: str) -> None:
    manifest = listed(*many(200, *(f"{split}/{name}" for split in given for name in "ab")))
    places = split_of(divide(manifest, data), manifest)
    taken = {split for name, split in places.items() if name.startswith("train/")}
    assert taken == {"train"} | ({"validation", "test"} if carved == "both" else {carved})
    assert all(split == "test" for name, split in places.items() if name.startswith("test/"))


@pytest.mark.parametrize(
    "names",
    [
        many(4, "train", "test"),  # no class below
        many(4, "train/a", "train/b", "other/a"),
        many(4, "test/a", "val/a"),  # no train
        [*many(4, "train/a", "test/a"), "train/loose.jpg"],
    ],
)
def test_folders_that_merely_have_such_names_are_classes(data: DataParams, names: list[str]) -> None:
    manifest = listed(*names)
    division = divide(manifest, data)
    assert division.layout == "classes"
    assert set(division.class_names) == {name.partition("/")[0] for name in names}


def test_the_layout_can_be_forced(data: DataParams) -> None:
    manifest = listed(*many(4, "train/a", "train/b", "test/a", "test/b"))
    assert divide(manifest, dataclasses.replace(data, layout="classes")).class_names == ("test", "train")
    forced = dataclasses.replace(data, layout="splits")
    assert divide(manifest, forced).class_names == ("a", "b")
    for names, line in (
        (many(4, "cats", "dogs"), "data.layout is splits, so the folders"),
        ([*many(4, "train/a", "train/b"), "train/x.jpg"], "1 image in no class: train/x.jpg"),
        (many(4, "train/a", "train/b", "val/a", "validation/a"), "two folders for the validation split"),
    ):
        with pytest.raises(InputError, match=line):
            divide(listed(*names), forced)


@pytest.mark.parametrize(
    ("names", "line"),
    [
        (many(9, "a"), "a single class, a, with nothing to tell it from"),
        (many(9, "pets/cat", "pets/dog"), "a single class, pets, .*Then add pets to data.folder"),
        ([*many(9, "a", "b"), "x.jpg"], "1 image in no class: x.jpg; it should be CLASS/"),
        ([*many(9, "a"), *many(2, "b")], "the class b has 2 different images to train on, and needs at least 3"),
        (many(9, "train/a", "train/b", "test/a", "test/c"), "the class c has no image to train on"),
        (
            [*many(9, "train/a", "test/a", "test/b"), "train/b/x.jpg"],
            "b has 1 different image .* needs at least 2: one for train",
        ),
        (many(9, "a", "b\n"), "cannot be printed"),
    ],
)
def test_what_no_classifier_can_be_trained_on_is_one_line(data: DataParams, names: list[str], line: str) -> None:
    with pytest.raises(InputError, match=line) as caught:
        divide(listed(*names), data)
    assert str(caught.value).isprintable()


def test_a_class_that_a_split_lacks_is_named(data: DataParams) -> None:
    manifest = listed(*many(9, "train/a", "train/b", "val/a", "val/b", "test/a"))
    division = divide(manifest, data)
    assert "the class b has no image in the test split" in describe(division, None, manifest, [])


def test_a_class_in_two_normalisations_of_unicode_is_one(data: DataParams) -> None:
    manifest = listed(*many(9, "train/\u00e9", "train/b"), *many(4, "test/e\u0301", "test/b"))
    assert divide(manifest, data).class_names == ("b", "\u00e9")


def test_changes_are_counted_and_unchanged_files_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "images"
    write(folder, *many(5, "a", "b"))
    for path in folder.rglob("*.jpg"):
        os.utime(path, (1, 1))
    monkeypatch.setattr("classifier.data.image_pack.SETTLED", -(10**18))  # as if nothing had changed in the last seconds
    manifest = pack(folder, scan(folder).names, tmp_path / "raw", int)
    times = Times.read(tmp_path)
    times.remember_pack(folder, manifest, [stamp_of(folder / file.name) for file in manifest])
    times.write()
    times = Times.read(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("hashlib.file_digest", None)
        assert changes(folder, manifest, times) == ""
    write(folder, "a/new.jpg", "b/newer.jpg")
    (folder / "b/1.jpg").unlink()
    (folder / "a/0.jpg").write_text("a/0.JPG")  # as large as before
    assert changes(folder, manifest, times) == "2 images added, 1 removed, 1 changed"
    times.write()
    assert Times.read(tmp_path).manifest(folder) == manifest, "so that download can say which image is in another split"


def test_a_copy_with_other_times_has_not_changed(tmp_path: Path) -> None:
    write(tmp_path / "images", *many(3, "a", "b"))
    manifest = pack(tmp_path / "images", scan(tmp_path / "images").names, tmp_path / "raw", int)
    shutil.copytree(tmp_path / "images", tmp_path / "copy")
    os.utime(tmp_path / "copy/a/0.jpg", (1, 1))
    assert changes(tmp_path / "copy", manifest, Times.read(tmp_path)) == ""


@pytest.mark.parametrize("text", ["", "[]", '{"x": 1', "null"])
def test_damaged_times_are_as_good_as_none(tmp_path: Path, text: str) -> None:
    write(tmp_path / "images", "a/x.jpg")
    manifest = pack(tmp_path / "images", ["a/x.jpg"], tmp_path / "raw", int)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/folder.json").write_text(text)
    assert changes(tmp_path / "images", manifest, Times.read(tmp_path)) == ""
    assert json.loads((tmp_path / "raw" / MANIFEST).read_text())[0][0] == "a/x.jpg"
