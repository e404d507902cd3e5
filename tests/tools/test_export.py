"""tools.export on small models: the file does what the model does, also where only onnxruntime is."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from classifier.networks.model_file import save_model
from classifier.params import TorchvisionDesign, read_yaml
from tests.conftest import ROOT
from tests.tools.models import CLASSES, COLOUR, GREY, end_of, small_model, write_png, write_workspace
from tools import classify, export

needs_packages = pytest.mark.skipif(not all(map(find_spec, export.PACKAGES)), reason="needs make setup EXPORT=1")
Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a tool in a folder of its own, and return what it printed, or the line with which it failed."""
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object, tool: Any = export, fails: bool = False) -> str:
        monkeypatch.setattr(sys, "argv", [tool.__name__.rpartition(".")[2], *map(str, arguments)])
        capsys.readouterr()
        code = end_of(tool.main)
        assert bool(code) == fails, code
        return str(code) if fails else capsys.readouterr().out

    return run


def probabilities(path: Path, images: Any) -> Any:
    """What onnxruntime says, float32 [N, classes]."""
    import onnxruntime

    return onnxruntime.InferenceSession(path).run(["probabilities"], {"images": images})[0]


@needs_packages
def test_the_file_gives_the_probabilities_of_the_model_with_all_that_is_needed_to_use_it(run: Run) -> None:
    images = write_workspace(Path(), small_model(temperature=1.7))
    assert "verifying on 40 test images\n" in run("--views", "shifted")
    session_file = Path("export/classifier.onnx")
    import onnxruntime

    session = onnxruntime.InferenceSession(session_file)
    (given,), (taken,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.type, given.shape) == ("images", "tensor(uint8)", ["N", *COLOUR])
    assert (taken.name, taken.type, taken.shape) == ("probabilities", "tensor(float)", ["N", len(CLASSES)])
    about = session.get_modelmeta().custom_metadata_map
    assert json.loads(about.pop("class_names")) == list(CLASSES)
    assert about.pop("version")
    assert about == {"image_size": "32", "channels": "3", "fit": "crop", "views": "shifted", "temperature": "1.7"}
    for number in (0, 7):
        write_png(images[number], Path("photos", f"{number}.png"))
    printed = json.loads(run("photos", "--json", "--views", "shifted", "--top", 4, tool=classify))
    for row, found in zip(printed, probabilities(session_file, images[[0, 7]]), strict=True):
        expected = {each["class"]: each["probability"] for each in row["classes"]}
        assert found.tolist() == pytest.approx([expected[name] for name in CLASSES], abs=1e-5)
    content = session_file.read_bytes()
    assert str(ROOT).encode() not in content
    assert b".py" not in content
    run("--views", "shifted", "--output", "again")
    assert Path("again/classifier.onnx").read_bytes() == content


@needs_packages
def test_the_example_of_the_docs_classifies_a_photo_without_this_program_and_without_pytorch(run: Run, tmp_path: Path) -> None:
    page = (ROOT / "docs/model.md").read_text(encoding="utf-8")
    (example,) = [block.partition("```")[0] for block in page.split("```python\n")[1:] if "onnxruntime" in block]
    (tmp_path / "example.py").write_text(f"{example}\nassert not {{'torch', 'classifier', 'tools'}} & sys.modules.keys()\n")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    for shape in (COLOUR, GREY):
        save_model(small_model(shape), Path("m.pt"))
        assert "random images" in run("--model", "m.pt")
        pixels = np.random.default_rng(3).integers(256, size=(90, 60, 3), dtype=np.uint8)
        write_png(np.kron(pixels[::30, ::30], np.ones((30, 30, 1), dtype=np.uint8)), Path("photo.png"))
        command = [sys.executable, "-P", "example.py", "photo.png"]
        shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        (row,) = json.loads(run("photo.png", "--model", "m.pt", "--json", "--top", 4, tool=classify))
        assert shown.splitlines() == [f"{each['class']}: {each['probability']:.1%}" for each in row["classes"]]


@needs_packages
def test_a_file_that_answers_otherwise_is_not_written(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    write_workspace(Path(), small_model(temperature=2.0))
    right = export.as_onnx
    monkeypatch.setattr(export, "as_onnx", lambda trained: right(type(trained)(small_model(), "plain", None, "")))
    line = run(fails=True)
    assert line.startswith("export: onnxruntime gives 0 of 40 images another class than PyTorch, and probabilities that differ")
    assert not list(Path("export").iterdir())


@needs_packages
def test_a_model_card_comes_with_the_results_of_a_revision(run: Run) -> None:
    write_workspace(Path(), small_model())
    assert "no model card" in run()
    for name in ("dvc.lock", "metrics/train.json", "metrics/test.json"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes((ROOT / name).read_bytes())
    Path("plots").mkdir()
    Path("plots/confusion_matrix.csv").write_text("actual,predicted,count\nno,no,3\nno,yes,1\nyes,no,0\nyes,yes,4\n")
    assert "export: export/model_card.md: the model card\n" in run()
    card = Path("export/model_card.md").read_text(encoding="utf-8")
    assert card.startswith("# Model card: workspace\n")
    assert "| no | 4 | 100.0% | 75.0% | 85.7% |\n" in card
    assert "```sh\nmake repro\n```\n" in card


@needs_packages
def test_the_file_and_its_card_are_replaced_together(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_card(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write_workspace(Path(), small_model())
    monkeypatch.setattr(export, "SOURCES", ())
    monkeypatch.setattr(export, "write_card", write_card)
    Path("export").mkdir()
    for name in ("classifier.onnx", "model_card.md"):
        Path("export", name).write_text("old")
    assert run(fails=True) == "export: export/model_card.md: No space left on device"
    assert [path.read_text() for path in Path("export").iterdir()] == ["old", "old"]


@needs_packages
def test_another_data_set_is_not_taken_for_the_test_images(run: Run) -> None:
    write_workspace(Path(), small_model())
    save_model(small_model(GREY), Path("m.pt"))
    assert "1,000 random images, since data/processed/test.safetensors is of another data set" in run("--model", "m.pt")


@needs_packages
def test_test_images_of_another_version_of_the_program_do_not_prevent_an_export(run: Run) -> None:
    write_workspace(Path(), small_model())
    Path("data/processed/dataset.json").write_text("{}")
    assert "1,000 random images, since data/processed/dataset.json: damaged" in run()


@needs_packages
@pytest.mark.slow
def test_the_network_of_accurate_exports_with_its_views(run: Run) -> None:
    values = read_yaml(ROOT / "variants/accurate.yaml")
    model = small_model(**values["network"])
    save_model(model, Path("m.pt"))
    assert "same classes" in run("--model", "m.pt", "--views", values["evaluate"]["views"])
    images = np.random.default_rng(1).integers(256, size=(3, *COLOUR), dtype=np.uint8)
    for count in (1, 3):
        found = probabilities(Path("export/classifier.onnx"), images[:count])
        assert found.sum(axis=1) == pytest.approx(np.ones(count), abs=1e-5)


@needs_packages
@pytest.mark.designs
@pytest.mark.parametrize("design", get_args(TorchvisionDesign))
def test_a_design_of_torchvision_exports(run: Run, monkeypatch: pytest.MonkeyPatch, design: str) -> None:
    monkeypatch.setattr(export, "RANDOM_IMAGES", 5)
    save_model(small_model(GREY if design == "resnet18" else COLOUR, design=design), Path("m.pt"))
    assert "same classes" in run("--model", "m.pt", "--views", "mirrored")


def test_without_the_packages_one_line_says_what_to_do(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "find_spec", lambda name: None if name == "onnxscript" else True)
    line = run(fails=True)
    assert line == f"export: {sys.executable} lacks onnxscript: run make setup EXPORT=1, then . .venv/bin/activate"


@needs_packages
def test_without_a_model_one_line_says_what_makes_one(run: Run) -> None:
    assert run(fails=True).startswith("export: models/classifier.pt: no such file; make repro trains a model")
