"""tools.classify on small models: what it reads, what it answers, and how it ends."""

import csv
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from classifier.networks.model_file import save_model
from classifier.results.predictions import Predictions, load_predictions, save_predictions
from stages import evaluate
from tests.tools.models import CLASSES, COLOUR, GREY, end_of, small_model, write_png, write_workspace
from tools import classify

Classify = Callable[..., tuple[Any, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Classify:
    """Run the tool in a folder of its own, and return its exit status and what it printed on both streams."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[Any, str, str]:
        monkeypatch.setattr(sys, "argv", ["classify", *map(str, arguments)])
        capsys.readouterr()
        code = end_of(classify.main)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def answers(output: str) -> dict[str, dict[str, float]]:
    """The probabilities of the classes of each file that was printed as JSON."""
    return {
        Path(row["file"]).name: {each["class"]: each["probability"] for each in row["classes"]} for row in json.loads(output)
    }


@pytest.mark.parametrize(("shape", "views"), [(COLOUR, "shifted"), (GREY, "plain")])
def test_a_test_image_in_a_file_gets_the_prediction_of_evaluate(
    run: Classify, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int, int], views: str
) -> None:
    images = write_workspace(Path(), small_model(shape, temperature=1.7), views)
    monkeypatch.setattr(sys, "argv", ["evaluate"])
    evaluate.main()
    expected = load_predictions(Path("data/predictions.npz"))
    for number, image in enumerate(images):
        write_png(image, Path(f"photos/{number:03}.png"))
    code, output, errors = run("photos", "--json", "--top", len(CLASSES))
    assert (code, errors) == (0, "")
    found = answers(output)
    assert list(found) == [f"{number:03}.png" for number in range(len(images))]
    assert len({max(classes, key=lambda name: classes[name]) for classes in found.values()}) > 1, "or this test shows little"
    for row, classes in zip(expected.probabilities, found.values(), strict=True):
        assert next(iter(classes)) == expected.class_names[row.argmax()]
        assert [classes[name] for name in CLASSES] == pytest.approx(row, abs=1e-3), "evaluate's are stored in float16"


def test_views_are_those_of_the_metrics_and_plain_for_a_bare_file_unless_chosen(run: Classify) -> None:
    image = write_workspace(Path(), small_model())[0]
    photo = write_png(image, Path("photo.png"))
    model = ("--model", "models/classifier.pt")
    plain, mirrored, shifted = (run(photo, *model, "--views", views, "--json")[1] for views in ("plain", "mirrored", "shifted"))
    assert len({plain, mirrored, shifted}) == 3
    assert run(photo, *model, "--json")[1] == plain
    code, output, errors = run(photo, "--json")
    assert (code, output) == (0, plain)
    assert errors == "metrics/test.json is missing: views are plain; dvc repro evaluates the model\n"
    Path("metrics").mkdir()
    Path("metrics/test.json").write_text('{"views": "mirrored"}')
    assert run(photo, "--json") == (0, mirrored, "")
    assert run(photo, "--json", "--views", "shifted") == (0, shifted, "")


def test_files_folders_and_patterns_each_once(run: Classify, tmp_path: Path) -> None:
    save_model(small_model(), Path("m.pt"))
    for name in ("b/2.PNG", "b/c/1.png", "b/.hidden.png", "a photo ü.png", "d[1].png"):
        write_png(np.zeros(COLOUR, dtype=np.uint8), Path(name))
    Path("b/notes.txt").write_text("not an image")
    Path("no-extension").write_bytes(Path("d[1].png").read_bytes())
    code, output, errors = run("b", "a*.png", "d[1].png", "b/2.PNG", tmp_path / "no-extension", "--model", "m.pt", "--csv")
    assert (code, errors) == (0, "")
    rows = list(csv.DictReader(io.StringIO(output)))
    files = ["b/2.PNG", "b/c/1.png", "a photo ü.png", "d[1].png", str(tmp_path / "no-extension")]
    assert [row["file"] for row in rows] == files
    assert list(rows[0]) == ["file", "answer", *(f"{part}_{number}" for number in "123" for part in ("class", "probability"))]
    for row in rows:
        assert row["answer"] == row["class_1"]
        assert 1 >= float(row["probability_1"]) >= float(row["probability_2"]) >= float(row["probability_3"]) >= 0


def test_photos_of_any_size_and_kind_are_classified(run: Classify) -> None:
    save_model(small_model(), Path("m.pt"))
    Image.new("RGBA", (300, 20), (250, 0, 0, 128)).save("wide.png")
    Image.new("L", (1, 1)).save("tiny.gif")
    Image.new("CMYK", (50, 70)).save("cmyk.jpg")
    code, output, errors = run("wide.png", "tiny.gif", "cmyk.jpg", "--model", "m.pt", "--json")
    assert (code, errors, len(answers(output))) == (0, "", 3)


def test_what_cannot_be_read_is_named_and_skipped_and_shows_in_the_exit_status(run: Classify) -> None:
    save_model(small_model(), Path("m.pt"))
    good = write_png(np.zeros(COLOUR, dtype=np.uint8), Path("photos/good.png"))
    Path("photos/broken.jpg").write_bytes(b"no image")
    Path("photos/cut.png").write_bytes(good.read_bytes()[:50])
    Path("photos/nowhere.png").symlink_to("gone.png")
    code, output, errors = run("photos", "not there.png", "--model", "m.pt", "--json")
    assert code == 1
    assert list(answers(output)) == ["good.png"]
    lines = errors.splitlines()
    assert [line.split(": ")[1] for line in lines[:-1]] == [
        "not there.png",
        *(f"photos/{name}" for name in ("broken.jpg", "cut.png", "nowhere.png")),
    ]
    assert lines[-1] == "classify: 4 of 5 could not be read; convert those of other formats, such as HEIC, to JPEG or PNG"
    assert run("photos/broken.jpg", "--model", "m.pt", "--json")[:2] == (1, "[]\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["empty"], "no image was found; PATH should be an image, a folder of images or a pattern such as 'photos/*.jpg'"),
        (
            ["photo.png"],
            "models/classifier.pt: no such file; make repro trains a model, and --rev NAME takes that of an experiment",
        ),
        (["photo.png", "--model", "m.pt", "--top", "0"], "--top 0: should be 1 or more"),
        (["photo.png", "--model", "m.pt", "--unknown", "60"], "--unknown 60: should be a probability between 0 and 1"),
        (["photo.png", "--model", "m.pt", "--picture", "m.pt"], "m.pt: "),
        (["photo.png", "--model", "photo.png"], "photo.png: damaged "),
    ],
)
def test_what_is_wrong_is_one_line(run: Classify, arguments: list[str], says: str) -> None:
    save_model(small_model(), Path("m.pt"))
    write_png(np.zeros(COLOUR, dtype=np.uint8), Path("photo.png"))
    Path("empty").mkdir()
    code, output, _ = run(*arguments)
    assert output == ""
    assert code.startswith(f"classify: {says}")
    assert "\n" not in code


def test_an_uncertain_answer_is_unknown_and_a_table_says_what_that_does_to_the_test_split(run: Classify) -> None:
    model = small_model()
    photo = write_png(write_workspace(Path(), model)[0], Path("photo.png"))
    probabilities = np.array([[0.97, 0.03, 0, 0], [0.55, 0.45, 0, 0], [0.2, 0.8, 0, 0], [0.4, 0.3, 0.3, 0]])
    found = Predictions(np.array([0, 1, 1, 0]), probabilities, np.array(CLASSES))
    save_predictions(found, Path("data/predictions.npz"))
    (best,) = answers(run(photo, "--json", "--top", 1)[1]).values()
    (confidence,) = best.values()
    code, output, _ = run(photo, "--unknown", confidence + 0.001)
    header, row = output.splitlines()[:2]
    assert (code, header.split(), row.split()[1]) == (0, ["file", "answer", "most", "likely", "classes"], "unknown")
    assert header.index("answer") == row.index("unknown")
    assert run(photo, "--unknown", confidence - 0.001)[1].splitlines()[1].split()[1] != "unknown"
    table = run(photo, "--unknown", 0.45)[1].partition("4 test images, as evaluated:\n")[2].splitlines()
    assert [line.split() for line in table[1:4]] == [
        ["0.45", "*", "25.0%", "66.7%"],
        ["0.5", "25.0%", "66.7%"],
        ["0.6", "50.0%", "100.0%"],
    ]
    assert table[-1].split() == ["0.99", "100.0%", "-"]
    _, output, errors = run(photo, "--unknown", 0.45, "--json")
    assert json.loads(output)
    assert "4 test images" in errors
    assert "no table" in run(photo, "--unknown", 0.45, "--model", "models/classifier.pt")[1]
    save_predictions(Predictions(found.labels, probabilities[:, :2], np.array(["a", "b"])), Path("data/predictions.npz"))
    assert "of another data set" in run(photo, "--unknown", 0.45)[1]


def test_each_photo_gets_a_picture_of_its_own(run: Classify) -> None:
    save_model(small_model(), Path("m.pt"))
    for name in ("a/photo.png", "b/photo.png"):
        write_png(np.zeros(COLOUR, dtype=np.uint8), Path(name))
    assert run("a", "b", "--model", "m.pt", "--picture", "pictures")[0] == 0
    assert sorted(path.name for path in Path("pictures").iterdir()) == ["photo.png-2.png", "photo.png.png"]
    with Image.open("pictures/photo.png.png") as picture:
        assert picture.width > picture.height > 300
