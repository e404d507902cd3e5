"""The stages run by hand on a folder of images."""

import csv
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from classifier.data.image_pack import Times, changes
from classifier.data.split import load_split
from classifier.networks.model_file import load_model
from tests.stages.test_stages import ALL, OUTPUTS, Workspace


def photos(folder: Path, count: int, *classes: str) -> None:
    """Noise of a colour for each class, which a network learns to tell apart."""
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True, exist_ok=True)
        random = np.random.default_rng(zlib.crc32(f"{folder.name} {name}".encode()))
        for photo in range(count):
            pixels = random.integers(120, size=(12, 9, 3), dtype=np.uint8)
            pixels[..., number % 3] += 120
            Image.fromarray(pixels).save(folder / name / f"photo {photo}.png")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Workspace:
    workspace = Workspace(tmp_path, tmp_path.with_name(f"{tmp_path.name}-finished"), monkeypatch, capsys)
    workspace.values["data"] |= {"name": "folder", "folder": "my photos", "image_size": 8, "fit": "pad"}
    photos(tmp_path / "my photos", 12, "cat", "dog", "猫")
    return workspace


def test_every_stage_runs_and_mistakes_have_file_names(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    workspace.values["augmentation"]["flip"] = False
    workspace.run(*ALL)
    printed = capsys.readouterr().out
    assert "download: a folder for each class, 3 classes, 36 images\n" in printed
    assert "preprocess: images of my photos, 8x8 pixels, pad\n" in printed
    written = workspace.results()
    assert {"data/raw/images.bin", "data/raw/manifest.json"} == {name for name in written if name.startswith("data/raw/")}
    for stage in ALL[1:]:
        assert set(OUTPUTS[stage]) <= set(written)
    model, test = load_model(Path("models/classifier.pt")), load_split(Path("data/processed/test.safetensors"))
    assert model.dataset.fit == "pad"
    assert model.image_shape == (8, 8, 3)
    rows = list(csv.DictReader(Path("data/mistakes.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == round((1 - workspace.json("metrics/test.json")["accuracy"]) * len(test))
    for row in rows:
        assert row["file"] == test.files[int(row["image"])]
        assert row["actual"] == row["file"].partition("/")[0] != row["predicted"]


def test_the_same_folder_gives_the_same_bytes_wherever_it_lies(workspace: Workspace) -> None:
    workspace.run("download", "preprocess")
    before = workspace.results()
    (workspace.folder / "my photos").rename(workspace.folder / "moved")
    workspace.values["data"]["folder"] = str(workspace.folder / "moved")
    workspace.run("download", "preprocess")
    assert workspace.results() == before


def test_memory_mapped_splits_train_to_the_same_bytes(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace.run("download", "preprocess", "train", "evaluate")
    before = workspace.results()
    monkeypatch.setattr("classifier.data.split.MAPPED_FROM", 1)
    workspace.run("train", "evaluate")
    now = workspace.results()
    for name in ("models/classifier.pt", "plots/learning_curve.csv", "data/predictions.npz", "data/mistakes.npz"):
        assert now[name] == before[name], name


def test_an_image_in_another_split_than_before_is_named(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    folder = workspace.folder / "my photos"
    for path in folder.rglob("photo *.png"):
        if path.name not in {"photo 0.png", "photo 1.png", "photo 2.png"}:
            path.unlink()
    workspace.run("download")
    assert "is so small that no image fell into" in capsys.readouterr().out, "or the test shows nothing"
    photos(workspace.folder / "more", 40, "cat", "dog", "猫")
    for path in (workspace.folder / "more").rglob("*.png"):
        path.rename(folder / path.parent.name / f"more {path.name}")
    changes(folder, [], times := Times.read(workspace.folder))  # as make repro does first
    times.write()
    workspace.run("download")
    moved = [line for line in capsys.readouterr().out.splitlines() if " was in the " in line]
    assert moved
    assert all("/photo " in line for line in moved)


def unreadable(folder: Path) -> None:
    (folder / "cat/IMG_1.HEIC").write_text("no image")


def empty_class(folder: Path) -> None:
    (folder / "bird").mkdir()


def single_class(folder: Path) -> None:
    for name in ("dog", "猫"):
        (folder / name).rename(folder.parent / name)


def no_folder(folder: Path) -> None:
    folder.rename(folder.parent / "elsewhere")


@pytest.mark.parametrize(
    ("change", "stage", "line"),
    [
        (no_folder, "download", "my photos: no such folder; it should be that of your images"),
        (empty_class, "download", "no image in bird, though each folder should be a class or a split"),
        (single_class, "download", "a single class, cat, with nothing to tell it from"),
        (
            unreadable,
            "preprocess",
            "1 of 37 images cannot be decoded: cat/IMG_1.HEIC (no format that Pillow can open); convert",
        ),
    ],
)
def test_what_is_wrong_with_a_folder_is_one_line_and_changes_no_result(
    workspace: Workspace, change: Any, stage: str, line: str
) -> None:
    workspace.run("download", "preprocess")
    before = workspace.results()
    change(workspace.folder / "my photos")
    if stage == "preprocess":
        workspace.run("download")
        before = workspace.results()
    assert line in workspace.fails(stage)
    assert workspace.results() == before


def test_images_that_are_too_small_for_the_network_are_one_line(workspace: Workspace) -> None:
    workspace.values["data"]["image_size"] = 2
    workspace.values["network"]["widths"] = [4, 4, 4, 4, 4, 4]
    workspace.run("download", "preprocess")
    assert "2x2" in workspace.fails("train")


@pytest.mark.parametrize("stage", ["download", "preprocess"])
def test_a_disk_without_room_is_noticed_before_the_work(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    workspace.run("download")
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    assert "MB are needed, 0.0 MB are free" in workspace.fails(stage)


def test_data_of_another_size_than_params_name_are_refused(workspace: Workspace) -> None:
    workspace.run("download", "preprocess", "train")
    workspace.values["data"]["image_size"] = 16
    for stage in ("train", "evaluate"):
        assert "images of 8x8x3, but data.name in params.yaml is folder, whose images are 16x16x3" in workspace.fails(stage)
