import base64
import hashlib
import json
import re
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classifier.data.split import DatasetInfo, Split, save_split
from classifier.networks.model_file import save_model
from classifier.results.learning_curve import save_curve
from classifier.results.predictions import load_predictions, save_predictions
from classifier.results.table import write_csv, write_json
from classifier.runtime.errors import InputError
from tests.tools.models import GREY, small_model
from tests.tools.reports import CURVE, lock, metrics, predictions
from tools.report.__main__ import main
from tools.report.page import Content

NAMES = ["<script>alert(1)</script>", "猫 \"'&", "x" * 40, "empty"]
IMAGES = 60
VOID = {"meta", "input", "br", "img", "source"}  # elements that are never closed


class Page(HTMLParser):
    """The elements of a page; elements that are not closed or closed twice are errors."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def values(self, name: str, tag: str = "") -> list[str]:
        """The values of an attribute, of all elements or of those of a tag."""
        found = (attributes.get(name) for element, attributes in self.elements if tag in {"", element})
        return [value for value in found if value is not None]


def git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True)


def write_results(folder: Path, right: int, **params: Any) -> None:
    """Write the results of a training that has the first `right` of the images right."""
    labels = np.arange(IMAGES) % 3
    predicted = np.where(np.arange(IMAGES) < right, labels, (labels + 1) % 3)
    answers = predictions(labels.tolist(), predicted.tolist(), np.linspace(0.4, 0.9, IMAGES).tolist(), NAMES)
    train, test = metrics(right / IMAGES, IMAGES)
    values = lock(**params)
    write_json(folder / "params.yaml", values["stages"]["train"]["params"]["params.yaml"])
    write_json(folder / "dvc.lock", values)
    write_json(folder / "metrics/train.json", train)
    write_json(folder / "metrics/test.json", test)
    save_curve(CURVE, folder / "plots/learning_curve.csv")
    counts = np.zeros((4, 4), dtype=int)
    np.add.at(counts, (labels, predicted), 1)
    rows = [(NAMES[i], NAMES[j], counts[i, j]) for i, j in np.ndindex(4, 4)]
    write_csv(folder / "plots/confusion_matrix.csv", ["actual", "predicted", "count"], rows)
    save_predictions(answers, folder / "data/predictions.npz")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the commits `other` and `bare`, which has no predictions; the workspace has images and a model."""
    folder = tmp_path_factory.mktemp("report") / "home of a user"
    (folder / ".dvc").mkdir(parents=True)
    (folder / ".dvc/config").touch()
    (folder / ".dvcignore").touch()
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(folder)
        git("init", "--quiet", "--initial-branch=main")
        for name, right in (("other", 40), ("bare", 30)):
            write_results(folder, right, epochs=right)
            if name == "bare":
                (folder / "data/predictions.npz").unlink()
            git("add", "--all")
            git("-c", "user.name=Tester", "-c", "user.email=tester@example.com", "commit", "--quiet", "--message", name)
            git("tag", name)
        write_results(folder, 50, epochs=50)
        images = np.random.default_rng(0).integers(256, size=(IMAGES, *GREY), dtype=np.uint8)
        labels = load_predictions(folder / "data/predictions.npz").labels
        for part in ("train", "validation", "test"):
            files = tuple(f"{part}/{number}&<b>.png" for number in range(IMAGES))
            save_split(Split(images, labels, files), folder / f"data/processed/{part}.safetensors")
        dataset = DatasetInfo(tuple(NAMES), (0.4,), (0.2,))
        save_model(replace(small_model(GREY), dataset=dataset), folder / "models/classifier.pt")
        (folder / "note.txt").write_text("A note with <b>markup</b>.\nSecond line.")
    return folder


@pytest.fixture(scope="module")
def report(project: Path) -> str:
    """The report of three revisions."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(project)
        main(["workspace", "other", "bare", "--title", "A <title>", "--note", "note.txt"])
    return (project / "report/index.html").read_text(encoding="utf-8")


def test_the_page_is_well_formed_and_every_link_has_a_target(report: str) -> None:
    page = Page(report)
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    links = page.values("href", "a")
    assert {"#overview", "#confusions", "#curves", "#images", "#certainty", "#classes", "#data", "#provenance"} <= {*links}
    targets = {*links, *(f"#{each}" for name in ("for", "aria-describedby", "aria-labelledby") for each in page.values(name))}
    assert {target.removeprefix("#") for target in targets} <= {*ids}
    assert not page.values("alt") or all(page.values("alt"))


def test_nothing_from_data_is_read_as_html(report: str) -> None:
    page = Page(report)
    assert [tag for tag, _ in page.elements].count("script") == 2
    assert "<script>alert" not in report
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in report
    assert "<title>A &lt;title&gt;</title>" in report
    assert "A note with &lt;b&gt;markup&lt;/b&gt;.\nSecond line." in report
    assert "test/3&amp;&lt;b&gt;.png" in report
    (policy,) = [each for each in page.values("content") if "script-src" in each]
    (script,) = re.findall(r"<script>(.*?)</script>", report, re.DOTALL)
    checksum = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{checksum}'" == policy


def test_the_page_loads_nothing_and_names_neither_path_nor_user(report: str, project: Path) -> None:
    page = Page(report)
    assert not [url for name in ("src", "href", "srcset") for url in page.values(name) if not url.startswith(("data:", "#"))]
    assert not re.findall(r"url\((?!data:|#)", report)
    assert str(project) not in report
    assert "home of a user" not in report


def test_the_same_inputs_give_the_same_bytes(report: str, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    main(["workspace", "other", "bare", "--title", "A <title>", "--note", "note.txt", "--output", "again"])
    assert (project / "again/index.html").read_text(encoding="utf-8") == report


def test_rows_are_sorted_and_a_revision_without_predictions_has_its_matrix_and_a_line(report: str) -> None:
    rows = re.findall(r'<tr id="row-\d"><th scope="row">.*?<bdi>(\w+)</bdi>', report)
    assert rows == ["workspace", "other", "bare"]
    assert "<bdi>bare</bdi>: data/predictions.npz is not here" in report
    ids = Page(report).values("id")
    assert {"matrix-0", "matrix-1", "matrix-2", "difference-0-1", "classes-2", "mistakes-1"} <= {*ids}
    assert "mistakes-2" not in ids
    assert "epochs=50" in report
    assert "workspace is 16.7 points better than other" in report


def test_an_empty_cell_has_no_link_and_a_class_without_images_no_scores(report: str) -> None:
    ids = Page(report).values("id")
    assert {"matrix-0-0-0", "matrix-0-0-1"} <= {*ids}
    assert not [each for each in ids if re.fullmatch(r"matrix-\d-\d-3|matrix-\d-3-\d", each)]
    assert '<tr><th scope="row"><bdi>empty</bdi></th><td data-value="0">0</td><td data-value="-1">-</td>' in report


def test_the_script_knows_the_images_of_each_cell(report: str) -> None:
    data = json.loads(re.findall(r'<script type="application/json" id="page-data">(.*?)</script>', report)[0])
    assert data["lines"] == ["workspace", "other", "bare"]
    assert data["curves"][0] == [[1, 0.625, 0.5, 1.25, 1.5]]
    (test,) = data["sets"]
    assert test["classes"] == NAMES
    for line, mistakes in ((0, 10), (1, 20)):
        wrong = [
            image
            for image in test["images"]
            if [each for each in image[3] if each[0] == line and each[1] == (image[2] + 1) % 3]
        ]
        assert len(wrong) == min(mistakes, len(wrong))
        assert len(wrong) >= 9, "three of each of three cells"
    name, place, actual, answers = test["images"][0]
    assert name.startswith("test/")
    assert place == [0, 0]
    assert [sum(tenths) for _, _, tenths in answers] == pytest.approx([1000, 1000], abs=3)
    assert actual in {0, 1, 2}


def test_validation_images_are_suspected_by_the_model_of_the_workspace(report: str) -> None:
    assert {"suspects-test-0", "suspects-validation-0"} <= {*Page(report).values("id")}
    assert "validation/" in report.partition('id="suspects-validation-0"')[2]


def test_pictures_are_left_out_where_the_page_would_be_too_large(
    report: str, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project)
    limit = len(report.encode()) - 2000
    main(["workspace", "other", "bare", "--size", str(limit / 1e6), "--output", "small"])
    page = (project / "small/index.html").read_text(encoding="utf-8")
    assert len(page.encode()) <= limit
    assert 0 < page.count('class="picture"') < report.count('class="picture"')
    assert re.search(r"report: \d+ of \d+ pictures are left out: --size ", capsys.readouterr().out)


def test_a_size_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match=r"--size 0: should be more than 0 MB"):
        main(["workspace", "--size", "0"])


def test_a_report_is_written_whole_or_not_at_all(report: str, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    monkeypatch.setattr(Content, "render", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["other"])
    assert (project / "report/index.html").read_text(encoding="utf-8") == report
    assert [path.name for path in (project / "report").iterdir()] == ["index.html"]


def test_revisions_that_are_not_here_are_left_out_where_that_is_asked_for(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project)
    main(["--existing", "initial", "initial-seed-*", "bare", "--output", "existing"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("report: left out: initial: no such experiment")
    assert re.fullmatch(r"report: existing/index.html, 0.\d\d MB", lines[1])
    page = (project / "existing/index.html").read_text(encoding="utf-8")
    assert "python -m tools.report bare" in page
    assert "dvc repro preprocess" in page
