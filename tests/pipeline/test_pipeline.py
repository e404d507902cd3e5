"""The pipeline as its users run it: real DVC, in a Git repository of its own, on scikit-learn's digits."""

import csv
import gzip
import hashlib
import json
import re
import shutil
import signal
import sys
from pathlib import Path

import pytest

from classifier.params import parse_yaml, read_params
from classifier.variants import merge
from tests import archives
from tests.conftest import ROOT
from tests.pipeline.repository import Repository, ran
from tests.servers import ResumableFile, content, redirect, serving
from tools.setup import _keep_private

STAGES = ["download", "preprocess", "weights", "train", "evaluate", "plot"]
OUTPUTS = {
    "data/raw",
    "data/processed/train.safetensors",
    "data/processed/validation.safetensors",
    "data/processed/test.safetensors",
    "data/processed/dataset.json",
    "models/pretrained",
    "models/classifier.pt",
    "metrics/train.json",
    "plots/learning_curve.csv",
    "data/predictions.npz",
    "data/mistakes.csv",
    "data/mistakes.npz",
    "metrics/test.json",
    "plots/confusion_matrix.csv",
    "plots/learning_curve.png",
    "plots/confusion_matrix.png",
    "plots/class_scores.png",
    "plots/mistakes.png",
}
FILES = sorted(OUTPUTS - {"data/raw", "models/pretrained"})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository in which the pipeline ran once and its results were committed."""
    repository = Repository(tmp_path_factory.mktemp("repository"))
    assert ran(repository.dvc("repro")) == STAGES
    repository.commit("Results")
    return repository


@pytest.fixture
def repository(made: Repository, tmp_path: Path) -> Repository:
    """A copy of it, with its cache, for a test to change."""
    shutil.copytree(made.folder, tmp_path / "copy")
    return made.at(tmp_path / "copy")


def test_the_outputs_are_those_of_the_design_and_git_holds_metrics_and_pictures_only(made: Repository) -> None:
    assert set(made.hashes()) == OUTPUTS
    assert all((made.folder / path).exists() for path in OUTPUTS)
    tracked = set(made.run("git", "ls-files").split())
    assert tracked & OUTPUTS == {path for path in OUTPUTS if path.startswith("metrics/") or path.endswith(".png")}
    assert made.run("git", "status", "--porcelain") == ""


def test_the_metrics_are_right_about_what_was_trained(made: Repository) -> None:
    train, test = made.json("metrics/train.json"), made.json("metrics/test.json")
    with (made.folder / "plots/learning_curve.csv").open() as file:
        curve = list(csv.DictReader(file))
    assert [row["epoch"] for row in curve] == ["1", "2"]
    best = max(curve, key=lambda row: float(row["validation_accuracy"]))
    assert train["best_epoch"] == int(best["epoch"])
    # The curve is computed in the precision of the training, the metrics in float32: a few of 144 images may differ.
    assert train["validation_accuracy"] == pytest.approx(float(best["validation_accuracy"]), abs=0.03)
    assert 0 < train["training_accuracy"] <= 1
    assert test["accuracy_low"] < test["accuracy"] < test["accuracy_high"]
    with (made.folder / "plots/confusion_matrix.csv").open() as file:
        cells = list(csv.DictReader(file))
    assert len(cells) == 100
    right = sum(int(cell["count"]) for cell in cells if cell["actual"] == cell["predicted"])
    assert sum(int(cell["count"]) for cell in cells) == test["images"] == 360
    assert right / 360 == pytest.approx(test["accuracy"])


def test_with_nothing_changed_nothing_runs(made: Repository) -> None:
    output = made.dvc("repro")
    assert ran(output) == []
    assert "up to date" in output


def test_a_clone_for_which_git_converts_line_ends_runs_nothing_again(made: Repository, tmp_path: Path) -> None:
    made.run("git", "clone", "--quiet", "--config=core.autocrlf=true", str(made.folder), str(tmp_path / "clone"))
    output = made.at(tmp_path / "clone").dvc("repro", "--dry", "--allow-missing")
    assert ran(output) == []


@pytest.mark.slow
def test_branches_with_other_params_are_merged_as_the_docs_say(repository: Repository) -> None:
    for branch, key, value in (("one", "plot.mistakes", "2"), ("other", "augmentation.crop_padding", "0")):
        repository.run("git", "checkout", "--quiet", "-b", branch, "main")
        repository.set(key, value)
        repository.dvc("repro")
        repository.commit(branch)
    assert "CONFLICT (content): Merge conflict in dvc.lock" in repository.run("git", "merge", "one", fails=True)
    documented = (ROOT / "docs/sharing.md").read_text(encoding="utf-8")
    for command in ("git checkout --ours dvc.lock metrics plots", "dvc repro", "git add --all"):
        assert f"\n{command} " in documented
        output = repository.run(*command.split())
    repository.run("git", "commit", "--no-edit")
    assert repository.dvc("status").strip() == "Data and pipelines are up to date."
    params = read_params(repository.folder / "params.yaml")
    assert (params.plot.mistakes, params.augmentation.crop_padding, output) == (2, 0, "")


def test_set_up_moves_the_databases_of_dvc_to_a_folder_that_others_cannot_write(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository.folder)
    monkeypatch.delenv("DVC_SITE_CACHE_DIR", raising=False)
    config = Path(".dvc/config.local")
    for home in (tmp_path / "one", tmp_path / "other"):
        monkeypatch.setenv("XDG_CACHE_HOME", str(home))
        _keep_private(Path(sys.executable))
        assert f"site_cache_dir = {tmp_path / 'one/dvc-site'}\n" in config.read_text(), "what is configured is kept"
    assert (tmp_path / "one/dvc-site").stat().st_mode & 0o77 == 0
    repository.dvc("exp", "run", "--temp", "--name", "drawn", "--set-param", "plot.mistakes=2")
    assert len([*(tmp_path / "one/dvc-site/repo").iterdir()]) == 2  # of this repository and of the temporary one
    assert repository.run("git", "status", "--short") == ""


def test_another_learning_rate_trains_anew_and_the_old_one_comes_back_without_training(repository: Repository) -> None:
    before = repository.hashes()
    repository.set("train.learning_rate", "0.002")
    assert ran(repository.dvc("repro")) == ["train", "evaluate", "plot"]
    assert repository.hashes()["models/classifier.pt"] != before["models/classifier.pt"]
    repository.set("train.learning_rate", "0.001")
    assert ran(repository.dvc("repro")) == []
    assert repository.hashes() == before
    assert repository.run("git", "diff", "--stat", "--", "metrics", "plots", "dvc.lock") == ""


def test_an_edit_runs_the_stages_whose_results_it_decides_and_no_other(repository: Repository) -> None:
    repository.replace("classifier/runtime/console.py", "Print a line at once", "Print a line immediately")
    leftovers = (
        ".build.py.swp",
        "build.py~",
        ".ipynb_checkpoints/build.py",
        ".DS_Store",
        "._build.py",
        "build.py.orig",
        "build.py.rej",
    )
    for name in leftovers:
        path = repository.folder / "classifier/networks" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("left behind by an editor")
    (repository.folder / "classifier/networks/.#build.py").symlink_to("somebody@somewhere.1:2")
    assert ran(repository.dvc("repro")) == []
    repository.replace("classifier/figures/confusion_matrix.py", "Most frequent confusions", "Commonest confusions")
    assert ran(repository.dvc("repro")) == ["plot"]
    repository.set("plot.mistakes", "5")
    assert ran(repository.dvc("repro")) == ["plot"]
    repository.replace("classifier/data/readers.py", "scikit-learn's digits:", "The digits of scikit-learn:")
    assert ran(repository.dvc("repro")) == ["preprocess"], "the same images: nothing follows"
    repository.replace("classifier/training/optimizers.py", "AdamW(parameters, lr=rate", "AdamW(parameters, lr=2 * rate")
    assert ran(repository.dvc("repro")) == ["train", "evaluate", "plot"]


def test_an_error_in_a_script_itself_loses_no_output(repository: Repository) -> None:
    before = repository.content(FILES)
    with (repository.folder / "stages/train.py").open("a") as script:
        script.write("\nthis is no Python\n")
    output = repository.dvc("repro", fails=True)
    assert "SyntaxError" in output
    assert repository.content(FILES) == before


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("train.epochs", "abc", 'train: params.yaml: train.epochs: should be an integer from 1 to 1000000, got "abc"'),
        ("network.widths", "[4,4,4,4,4,4,4,4]", "train: params.yaml: network.widths: 8 widths"),
    ],
)
def test_a_bad_value_is_one_line_and_what_was_there_is_still_there(
    repository: Repository, key: str, value: str, expected: str
) -> None:
    before = repository.content(FILES)
    repository.set(key, value)
    output = repository.dvc("repro", fails=True)
    assert [line for line in output.splitlines() if line.startswith(expected)]
    assert "Traceback" not in output
    assert repository.content(FILES) == before


def test_a_bad_value_in_a_clone_without_a_cache_keeps_what_git_holds(made: Repository, tmp_path: Path) -> None:
    made.run("git", "clone", "--quiet", str(made.folder), str(tmp_path / "clone"))
    clone = made.at(tmp_path / "clone")
    clone.set("network.widths", "[4,4,4,4,4,4,4,4]")
    output = clone.dvc("repro", fails=True)
    assert "train: params.yaml: network.widths: 8 widths" in output
    assert "could not restore" not in output, "nothing was lost"
    assert clone.run("git", "status", "--porcelain") == " M params.yaml\n"


def test_a_source_that_is_gone_or_wrong_keeps_the_data_that_was_there(repository: Repository) -> None:
    before = repository.content([*FILES, "data/raw/digits.csv"])
    repository.replace("classifier/data/registry.py", "package://scikit-learn/", "package://no-such-package/")
    repository.set("data.sources", "[nowhere]")
    output = repository.dvc("repro", "--force", "download", fails=True)
    assert "download: no place has all files of digits: nowhere (no such file or directory); package://no-such" in output
    assert "Traceback" not in output
    assert repository.content(before) == before


def test_another_place_mirror_or_data_set_runs_nothing_and_gives_the_same_files(repository: Repository) -> None:
    before = (repository.folder / "dvc.lock").read_text()
    repository.replace("classifier/data/registry.py", "https://zenodo.org/", "https://mirror.example.org/")
    repository.replace("classifier/data/registry.py", "DATA_SETS = {", 'DATA_SETS = {"other": DataSet((), (), (1, 1, 1)), ')
    repository.replace("classifier/data/sources.py", "no place has", "none of the places has")
    zipped = gzip.compress((repository.folder / "data/raw/digits.csv").read_bytes())
    with serving({"/get?file=7": redirect("/digits.csv.gz"), "/digits.csv.gz": content(zipped)}) as address:
        repository.set("data.sources", f'[nowhere, "{address}/get?file=7"]')
        assert ran(repository.dvc("repro")) == []
        output = repository.dvc("repro", "--force", "download")
        assert f"verified all files of digits from {address}/get?file=7" in output
    assert (repository.folder / "dvc.lock").read_text() == before


def test_a_place_beside_the_repository_is_found_in_a_temporary_run(repository: Repository) -> None:
    archives.write(repository.folder.parent / "beside", {"digits/digits.csv": b"other", "digits.csv.gz": b"\x1f\x8b"})
    repository.set("data.sources", "[../beside]")
    repository.replace("classifier/data/registry.py", "package://scikit-learn/", "package://no-such-package/")
    repository.commit("Another place")
    output = repository.dvc("exp", "run", "--temp", "--force", "download", fails=True)
    assert "../beside (digits.csv: " in output, "found, and refused"
    shutil.copy(repository.folder / "data/raw/digits.csv", repository.folder.parent / "beside")
    assert "from ../beside, in data/raw" in repository.dvc("exp", "run", "--temp", "--force", "download")


def test_from_one_data_set_to_another_and_back_nothing_is_downloaded_twice(repository: Repository) -> None:
    file = ResumableFile(b"a data set of one file")
    digest = hashlib.sha256(file.body).hexdigest()
    with serving({"/cifar": file}) as address:
        registry = repository.folder / "classifier/data/registry.py"
        entry = f"DataSet((File('cifar', {len(file.body)}, '{digest}'),), ('{address}/cifar',), (1, 1, 1))"
        registry.write_text(f"{registry.read_text()}\nDATA_SETS['cifar10'] = {entry}\n")
        repository.commit("A tiny data set")
        for run in range(2):
            repository.set("data.name", "cifar10")
            repository.dvc("repro", "download")
            assert (repository.folder / "data/raw/cifar").read_bytes() == file.body
            repository.set("data.name", "digits")
            repository.dvc("repro", "download")
            shutil.rmtree(repository.folder / "checkpoints/download")
            archives.write(repository.folder, {"checkpoints/download/keep": b""})
            repository.dvc("exp", "run", "--temp", "--name", f"run-{run}", "-S", "data.name=cifar10", "download")
    assert file.asked == [None]


def test_what_a_user_put_into_data_raw_is_moved_and_used(repository: Repository) -> None:
    packed = gzip.compress((repository.folder / "data/raw/digits.csv").read_bytes())
    shutil.rmtree(repository.folder / "data/raw")
    shutil.rmtree(repository.folder / ".dvc/cache")
    repository.replace("classifier/data/registry.py", "package://scikit-learn/", "package://no-such-package/")
    archives.write(repository.folder, {"data/raw/digits.csv.gz": packed, "data/raw/notes.txt": b"mine"})
    output = repository.python("tools.repro", "download")
    assert "moved digits.csv.gz, notes.txt from data/raw to data/archives" in output
    assert "verified all files of digits from data/archives" in output
    assert (repository.folder / "data/archives/notes.txt").read_bytes() == b"mine"
    assert (repository.folder / "data/archives/digits.csv.gz").read_bytes() == packed
    assert repository.run("git", "status", "--porcelain", "--", "data") == ""


def test_a_damaged_file_is_one_line(repository: Repository) -> None:
    for name, stage in {"data/raw/digits.csv": "preprocess", "data/processed/train.safetensors": "train"}.items():
        path = repository.folder / name
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[:1000])
        output = repository.python(f"stages.{stage}", fails=True)
        assert re.search(rf"^{stage}: {Path(name).parent}[^\n]+run the \w+ stage again[^\n]*\n\Z", output, re.MULTILINE), output


def test_a_python_without_the_packages_says_how_to_get_them(made: Repository) -> None:
    output = made.run(sys.executable, "-S", "-m", "stages.train", fails=True)
    assert re.fullmatch(r"train: \S+ lacks the package \w+: run make setup[^\n]+\n", output)


def test_the_page_of_plots_needs_no_network_and_shows_every_chart_and_picture(made: Repository) -> None:
    made.dvc("plots", "show")
    page = (made.folder / "dvc_plots/index.html").read_text(encoding="utf-8")
    assert not re.findall(r"<(?:script|link)[^>]+(?:src|href)=", page)
    for title in ("Loss", "Accuracy", "Learning rate", "Confusion matrix of the test split", "Mistakes on the test split"):
        assert re.search(rf'"text": "{title}"', page), title
    assert "<DVC_METRIC" not in page
    pictures = {path.name for path in (made.folder / "dvc_plots/static").iterdir()}
    assert len(pictures) == 4


def test_every_comment_of_params_survives_an_experiment_in_the_workspace(repository: Repository) -> None:
    params = repository.folder / "params.yaml"
    before = params.read_text()
    repository.dvc("exp", "run", "--name", "few", "-S", "plot.mistakes=3")
    written = params.read_text()
    assert re.findall("#.*", written) == re.findall("#.*", before)
    repository.run("git", "checkout", "--quiet", ".")
    repository.dvc("exp", "apply", "few")
    assert params.read_text() == written != before
    assert ran(repository.dvc("repro")) == []


def test_a_variant_leaves_the_workspace_as_it_is(repository: Repository) -> None:
    before = repository.content([*FILES, "params.yaml", "dvc.lock"])
    name = "digits-train.epochs=3"
    output = repository.python("tools.variant", "digits", "--export", "demo", "--set-param", "train.epochs=3")
    assert output.endswith(f"variant: done; to compare: python -m tools.compare {name}\n")
    assert f"variant: {name}: done; dvc exp apply {name} " in output
    assert repository.content(before) == before
    demo = repository.json("demo/metrics/train.json")
    assert demo["best_epoch"] <= 3
    summary = repository.python("tools.summary", "demo", name)
    assert "Test accuracy" in summary
    named = re.findall(r"dvc (plots diff \S+|params diff HEAD \S+)", summary)
    assert len(named) == 2
    for command in named:
        repository.dvc(*command.split())
    # A new clone has no curve of the workspace, so a page without the experiment's would be empty.
    assert name in (repository.folder / "dvc_plots/index.html").read_text()
    differences = json.loads(repository.dvc("params", "diff", "workspace", name, "--json"))["params.yaml"]
    assert differences["train.epochs"] == {"old": 2, "new": 3, "diff": 1}


def test_a_variant_means_the_same_whatever_is_edited_in_params(repository: Repository) -> None:
    (repository.folder / "variants/mine.yaml").write_text("plot:\n  mistakes: 3\n")
    committed = parse_yaml((repository.folder / "params.yaml").read_text(), "params.yaml")
    for key, value in {"train.epochs": "1", "network.widths": "[4]", "evaluate.views": "mirrored"}.items():
        repository.set(key, value)
    repository.set("data.sources", "[elsewhere]")
    output = repository.python("tools.variant", "mine")
    assert "variant: params.yaml is edited (network.widths, train.epochs, evaluate.views), but variants build on the" in output
    assert ran(output) == ["plot"], "everything else is that of the commit"
    params = parse_yaml(repository.experiment("mine").read_text("params.yaml"), "params.yaml")
    assert params == merge(committed, {"plot": {"mistakes": 3}, "data": {"sources": ["elsewhere"]}})
    assert ran(repository.python("tools.variant", "mine")) == []


def test_make_repro_checks_params_before_dvc_finds_nothing_changed(repository: Repository) -> None:
    repository.replace("params.yaml", "\nevaluate:", "\nevalute:")
    output = repository.python("tools.repro", fails=True)
    assert output.startswith("repro: params.yaml: evalute: unknown key (did you mean evaluate?); the file takes data")
    assert output.count("\n") == 1


def test_make_repro_repairs_what_a_kill_or_a_full_disk_left(repository: Repository) -> None:
    (repository.folder / ".dvc/tmp/rwlock").write_text("")
    (entry, *_) = [path for path in (repository.folder / ".dvc/cache/runs").glob("*/*/*") if "stages.train" in path.read_text()]
    entry.write_text(entry.read_text().partition("outs:")[0])
    output = repository.python("tools.repro")
    assert output.startswith("repro: removed .dvc/tmp/rwlock, left by a run that was killed or by a full disk\n")
    assert f"repro: removed {entry}, left by" in output
    assert "Test accuracy" in output
    repository.dvc("repro")


def test_make_repro_refuses_a_second_run_and_when_interrupted_ends_with_how_to_continue(repository: Repository) -> None:
    before = repository.content(FILES)
    repository.set("train.epochs", "100000")
    with repository.start("tools.repro") as running:
        assert running.stdout
        output = ""
        while "train: epoch 1/" not in output:
            line = running.stdout.readline()
            assert line, output
            output += line
        second = repository.python("tools.repro", fails=True)
        running.send_signal(signal.SIGTERM)
        output += running.stdout.read()
    assert re.fullmatch(rf"repro: process {running.pid} .* already runs the pipeline in .*: kill {running.pid}\n", second)
    assert running.returncode == 143
    assert "train: interrupted, its state is saved; dvc repro continues\n" in output
    assert output.endswith("repro: interrupted; make repro or dvc repro continues where it stopped\n")
    assert repository.content(FILES) == before


def test_a_link_to_another_disk_is_refused_before_the_training(repository: Repository, tmp_path: Path) -> None:
    shutil.move(repository.folder / "models", tmp_path / "disk")
    (repository.folder / "models").symlink_to(tmp_path / "disk")
    output = repository.dvc("repro", "--force", "train", fails=True)
    assert "download: models is a link to" in output
    assert "train: epoch" not in output


def test_in_a_sub_folder_of_a_git_repository_a_variant_is_run_and_exported(repository: Repository, tmp_path: Path) -> None:
    whole = repository.at(tmp_path / "whole")
    project = repository.at(whole.folder / "project")
    shutil.copytree(repository.folder, project.folder)
    shutil.rmtree(project.folder / ".git")
    whole.run("git", "init", "--quiet")
    whole.run("git", "config", "user.name", "Tester")
    whole.run("git", "config", "user.email", "tester@example.com")
    whole.commit("Start")
    (project.folder / "variants/mine.yaml").write_text("plot:\n  mistakes: 3\n")
    assert ran(project.python("tools.variant", "mine", "--export", "demo")) == ["plot"]
    assert (project.folder / "demo/plots/mistakes.png").exists()
    assert ran(project.python("tools.variant", "mine")) == []
    project.python("tools.compare", "mine", "workspace")


@pytest.mark.slow
def test_after_the_cache_was_emptied_a_variant_runs_again(repository: Repository) -> None:
    command = ["tools.variant", "digits", "-S", "train.epochs=1", "--export", "demo"]
    repository.python(*command)
    repository.dvc("gc", "--workspace", "--force")
    assert "train" in ran(repository.python(*command))
    assert ran(repository.python(*command)) == []


@pytest.mark.slow
def test_a_variant_of_a_long_name_can_be_trained(repository: Repository) -> None:
    name = "ж" * 48
    (repository.folder / f"variants/{name}.yaml").write_text("train:\n  epochs: 1\n")
    repository.environment = repository.environment | {"CLASSIFIER_CHECKPOINT_SECONDS": "0"}
    assert "train" in ran(repository.python("tools.variant", name))


@pytest.mark.slow
def test_the_same_variant_started_twice_runs_once(repository: Repository) -> None:
    (repository.folder / "variants/mine.yaml").write_text("train:\n  epochs: 3\n")
    runs = [repository.start("tools.variant", "mine") for _ in range(2)]
    outputs = [run.communicate()[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outputs
    assert [len(ran(output)) > 0 for output in outputs].count(True) == 1
    waited = re.search(r"mine is being run by process (\d+): waiting for its end", "".join(outputs))
    assert waited
    assert int(waited[1]) in [run.pid for run in runs]
